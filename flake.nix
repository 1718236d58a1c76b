{
  description = "pict-rs, a self-hosted image server";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      # The triple by which nixpkgs knows each static target. Rust's own name for it and the
      # emulator that runs it follow from the triple, as `stdenv.hostPlatform.rust` and
      # `stdenv.hostPlatform.emulator`.
      targets = lib.mapAttrs (_: { nix, ... }: nix) (lib.importTOML ./targets.toml);

      # nixpkgs with our packages among its own.
      native = system: nixpkgs.legacyPackages.${system}.extend self.overlays.default;

      forAllSystems =
        f: lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (system: f (native system));

      cross =
        pkgs: triple:
        import nixpkgs {
          inherit (pkgs.stdenv.buildPlatform) system;
          crossSystem.config = triple;
        };

      bare = set: set.callPackage ./pict-rs-unwrapped.nix { };

      statics = pkgs: lib.mapAttrs (_: triple: bare (cross pkgs triple).pkgsStatic) targets;

      # From sets that give no static package.
      dynamics = pkgs: {
        cross = bare (cross pkgs "aarch64-unknown-linux-gnu");
        musl = bare pkgs.pkgsMusl;
      };

      # An image is made of Linux programs; on a Mac a Linux builder makes it.
      linux = pkgs: native (lib.replaceStrings [ "darwin" ] [ "linux" ] pkgs.stdenv.hostPlatform.system);
    in
    {
      # For programs that have to know which targets there are.
      lib = { inherit targets; };

      packages = forAllSystems (
        pkgs:
        {
          inherit (pkgs) pict-rs pict-rs-unwrapped;
          default = pkgs.pict-rs;
          docker = (linux pkgs).callPackage ./nix/image.nix { };
        }
        // lib.mapAttrs' (name: lib.nameValuePair "pict-rs-${name}") (statics pkgs)
      );

      apps = forAllSystems (pkgs: {
        default = {
          type = "app";
          program = lib.getExe pkgs.pict-rs;
          meta.description = "Serve pictures from ./data on port 8080";
        };
      });

      checks = forAllSystems (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs;
          source = self;
          module = self.nixosModules.default;
        }
      );

      hydraJobs = lib.filterAttrs (system: _: lib.hasSuffix "linux" system) (
        forAllSystems (
          pkgs:
          import ./nix/jobs.nix {
            inherit pkgs;
            source = self;
            statics = statics pkgs;
            dynamics = dynamics pkgs;
          }
        )
      );

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ pkgs.pict-rs-unwrapped ];
          # For the feature `libaom`.
          env = {
            inherit (pkgs.pict-rs-unwrapped)
              LIB_AOM_STATIC_LIB_PATH
              LIB_AOM_INCLUDE_PATH
              LIB_AOM_PKG_CONFIG_PATH
              ;
          };
          packages = [
            pkgs.cargo
            pkgs.clippy
            pkgs.rustfmt
            # For `cargo xtask`, which builds libaom and, with zig from PyPI, static binaries.
            pkgs.cmake
            pkgs.nasm
            pkgs.perl
            pkgs.python3
            pkgs.exiftool
            pkgs.ffmpeg-headless
            pkgs.imagemagick
          ];
        };
      });

      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      overlays.default = final: _: {
        pict-rs-unwrapped = final.callPackage ./pict-rs-unwrapped.nix { };
        pict-rs = final.callPackage ./pict-rs.nix { };
      };

      nixosModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nix/module.nix ];
          services.pict-rs.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.pict-rs;
        };
    };
}
