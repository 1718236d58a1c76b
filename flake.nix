{
  description = "pict-rs, a self-hosted image server";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      # One line per static target. nixpkgs and rustc call 32-bit ARM by different names;
      # nixpkgs translates.
      targets = {
        amd64 = "x86_64-unknown-linux-musl";
        arm64 = "aarch64-unknown-linux-musl";
        armv7l = "armv7l-unknown-linux-musleabihf";
      };

      forAllSystems = f: lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (system: f system);

      native = system: nixpkgs.legacyPackages.${system};

      static =
        system: config:
        (import nixpkgs {
          inherit system;
          crossSystem = { inherit config; };
        }).pkgsStatic.callPackage ./pict-rs-unwrapped.nix
          { };
    in
    {
      packages = forAllSystems (
        system:
        let
          pkgs = native system;
          pict-rs-unwrapped = pkgs.callPackage ./pict-rs-unwrapped.nix { };
          pict-rs = pkgs.callPackage ./pict-rs.nix { inherit pict-rs-unwrapped; };
        in
        {
          inherit pict-rs pict-rs-unwrapped;
          default = pict-rs;
        }
        // lib.mapAttrs' (
          name: config: lib.nameValuePair "pict-rs-${name}" (static system config)
        ) targets
      );

      apps = forAllSystems (system: {
        default = {
          type = "app";
          program = lib.getExe self.packages.${system}.pict-rs;
          meta.description = "Serve pictures from ./data on port 8080";
        };
      });

      devShells = forAllSystems (
        system:
        let
          pkgs = native system;
        in
        {
          default = pkgs.mkShell {
            inputsFrom = [ self.packages.${system}.pict-rs-unwrapped ];
            packages = [
              pkgs.exiftool
              pkgs.ffmpeg-headless
              pkgs.imagemagick
            ];
          };
        }
      );

      formatter = forAllSystems (system: (native system).nixfmt-tree);

      overlays.default = final: _: {
        pict-rs-unwrapped = final.callPackage ./pict-rs-unwrapped.nix { };
        pict-rs = final.callPackage ./pict-rs.nix { };
      };
    };
}
