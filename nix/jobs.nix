# What a build farm builds beside the checks: programs for other triples. No public cache has their
# compilers and standard libraries, which take hours, so `nix flake check` leaves them out.
{
  # nixpkgs with our packages, for the machine that builds.
  pkgs,
  # The whole repository.
  source,
  # The static packages by name.
  statics,
  # Packages by name of sets that are not static.
  dynamics,
}:

let
  inherit (pkgs) lib;

  boots =
    name: package:
    pkgs.runCommand "pict-rs-${name}-boots" {
      nativeBuildInputs = [
        pkgs.binutils
        pkgs.curl
      ];
      emulator = package.stdenv.hostPlatform.emulator pkgs;
      program = lib.getExe package;
      picture = "${source}/tests/data/cmyk.jpeg";
    } (lib.readFile ./boots.sh);

  linkage = import ./linkage.nix pkgs;
in
lib.mapAttrs' (name: package: lib.nameValuePair "boots-${name}" (boots name package)) statics
// lib.mapAttrs' (
  name: package: lib.nameValuePair "linkage-${name}" (linkage name package)
) dynamics
