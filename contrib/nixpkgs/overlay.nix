# The files of this folder among the packages of a nixpkgs, as they would be once nixpkgs has them.
final: prev: {
  pict-rs-unwrapped = final.callPackage ./package.nix { };
  pict-rs = final.callPackage ../../pict-rs.nix { };

  nixosTests = prev.nixosTests // {
    pict-rs = final.testers.runNixOSTest {
      imports = [ ../../nix/vm-test.nix ];
      defaults = {
        imports = [ ./module.nix ];
        disabledModules = [ "services/web-apps/pict-rs.nix" ];
      };
    };
  };
}
