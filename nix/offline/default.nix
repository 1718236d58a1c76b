# A stand-in for nixpkgs, so that the flake can be checked where nixpkgs cannot be fetched. It
# answers to the same names, and
#
# - refuses: a static or foreign set has no exiftool, ffmpeg or imagemagick;
# - records: `standin` of a package tells which file made it, asking for what, for which triple;
# - builds: natively with the machine's cargo and cc, static programs with zig and a standard
#   library from source.
{
  system ? "x86_64-linux",
  crossSystem ? null,
  overlays ? [ ],
  host ? import ./host.nix,
  static ? false,
}:
let
  lib = import ./lib.nix;
  platform = import ./platform.nix lib;

  native = {
    x86_64-linux = "x86_64-unknown-linux-gnu";
    aarch64-linux = "aarch64-unknown-linux-gnu";
    aarch64-darwin = "aarch64-apple-darwin";
  };
  buildPlatform = platform native.${system};
  wanted = if crossSystem == null then native.${system} else crossSystem.config;
  # A static set has musl, whatever C library was asked for.
  musl = lib.replaceStrings [ "linux-gnu" ] [ "linux-musl" ];
  hostPlatform = platform (if static then musl wanted else wanted) // {
    isStatic = static;
  };
  isForeign = static || hostPlatform.config != buildPlatform.config;
  suffix =
    lib.optionalString static "-static"
    + lib.optionalString (hostPlatform.config != buildPlatform.config) "-${hostPlatform.config}";

  again =
    changes:
    import ./. (
      {
        inherit
          system
          crossSystem
          overlays
          host
          static
          ;
      }
      // changes
    );

  base = {
    inherit lib pkgs system;
    callPackage = import ./call-package.nix { inherit lib pkgs; };
    stdenv = {
      inherit buildPlatform hostPlatform;
      inherit (pkgs.builders) mkDerivation;
      targetPlatform = hostPlatform;
    };
    builders = import ./builders.nix {
      inherit
        lib
        pkgs
        host
        suffix
        system
        ;
    };
    inherit (pkgs.builders)
      dockerTools
      fetchCrate
      fetchFromGitea
      formats
      mkShell
      runCommand
      rustPlatform
      symlinkJoin
      testers
      writeShellScript
      writeShellScriptBin
      writeText
      ;
    rustc = {
      # "rustc 1.94.0 (…)"
      version = lib.head (builtins.match "rustc ([0-9.]+).*" host.rustVersion);
    };
    # Newer than the crate's declarations, as nixpkgs' is.
    libaom = pkgs.callPackage (
      {
        enableVmaf ? true,
      }:
      pkgs.runCommand "libaom-${lib.optionalString (!enableVmaf) "without-vmaf-"}3.13.1" {
        version = "3.13.1";
      } "mkdir $out"
    ) { };
    nix-update-script = _: [ "nix-update" ];
    nixosTests.pict-rs = pkgs.runCommand "vm-test-run-of-nixpkgs" { } "exit 1";
    runtimeShell = "/bin/bash";
    buildPackages = again {
      crossSystem = null;
      static = false;
    };
    pkgsMusl = again { crossSystem.config = musl wanted; };
    pkgsStatic = again { static = true; };
    extend = overlay: again { overlays = overlays ++ [ overlay ]; };
    darwin = throw "pkgs.darwin.* frameworks are gone from nixpkgs since 25.11";
  }
  // import ./tools.nix {
    inherit
      lib
      pkgs
      isForeign
      suffix
      ;
  };

  pkgs = lib.foldl' (prev: overlay: prev // overlay pkgs prev) base overlays;
in
pkgs
