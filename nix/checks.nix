# What `nix flake check` builds, all of it for this system; jobs.nix has the rest. Each check of the
# sources is the one recipe with another command in place of its build, so that there is no second
# list of crates and tools.
{
  # nixpkgs with our packages.
  pkgs,
  # The whole repository: some tests read its documents.
  source,
  # The NixOS module.
  module,
}:

let
  inherit (pkgs) lib;

  check =
    name: change:
    pkgs.pict-rs-unwrapped.overrideAttrs (
      old:
      {
        pname = "pict-rs-${name}";
        src = source;
        buildPhase = "true";
        doCheck = false;
        doInstallCheck = false;
        installPhase = "touch $out";
      }
      // change old
    );
in
{
  fmt = check "fmt" (old: {
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.rustfmt ];
    buildPhase = "cargo fmt --all --check";
  });

  clippy = check "clippy" (old: {
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.clippy ];
    buildPhase = "cargo clippy --workspace --all-targets --offline -- --deny warnings";
  });

  # Everything, the integration program included, which talks to servers on the loopback
  # interface: Linux sandboxes have one, Darwin's must be told.
  tests = check "tests" (old: {
    nativeBuildInputs = old.nativeBuildInputs ++ [
      pkgs.exiftool
      pkgs.ffmpeg-headless
      pkgs.imagemagick
    ];
    doCheck = true;
    cargoTestFlags = [ "--workspace" ];
    PICTRS_TEST_REQUIRE = "programs";
    __darwinAllowLocalNetworking = true;
  });

  inherit (pkgs.pict-rs.tests) cleaning helpers version;
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
  linkage = import ./linkage.nix pkgs "native" pkgs.pict-rs-unwrapped;

  vm = pkgs.testers.runNixOSTest {
    imports = [ ./vm-test.nix ];
    defaults.imports = [ module ];
  };

  vm-scaling = pkgs.testers.runNixOSTest {
    imports = [ ./vm-scaling.nix ];
    defaults.imports = [ module ];
  };
}
