# nixpkgs' form of the recipes, contrib/nixpkgs, beside the flake's own: what `cargo xtask flake`
# asks about both.
{
  system,
  # The repository.
  root,
  # nixpkgs' triples of the static targets.
  triples,
}:
let
  lib = import ./lib.nix;

  ours = final: _: {
    pict-rs-unwrapped = final.callPackage (root + "/pict-rs-unwrapped.nix") { };
    pict-rs = final.callPackage (root + "/pict-rs.nix") { };
  };
  theirs = import (root + "/contrib/nixpkgs/overlay.nix");

  set =
    recipes: changes:
    import ./. {
      inherit system;
      overlays = [ recipes ] ++ changes;
    };
  static =
    triple:
    (import ./. {
      inherit system;
      crossSystem.config = triple;
    }).pkgsStatic;

  flake = set ours [ ];
  nixpkgs = set theirs [ ];

  # The names of all that two sets have differently.
  differences =
    one: other:
    lib.filter (name: one.${name} or null != other.${name} or null) (lib.attrNames (one // other));
  names = lib.mapAttrs (_: _: true);

  libaoms = pkgs: {
    flake = pkgs.callPackage (root + "/nix/libaom.nix") { };
    nixpkgs = pkgs.callPackage (root + "/contrib/nixpkgs/libaom.nix") { };
  };
  fitting = set theirs [
    (_: prev: {
      libaom = prev.libaom // {
        version = "3.11.99";
      };
    })
  ];

  manifest = (lib.importTOML (root + "/Cargo.toml")).workspace.package;
  withCompiler =
    version: recipes: (set recipes [ (_: _: { rustc = { inherit version; }; }) ]).pict-rs-unwrapped;
  # "1.93.9999" for "1.94".
  tooOld =
    let
      parts = lib.splitString "." manifest.rust-version;
      minor = lib.fromJSON (lib.elemAt parts 1);
    in
    "${lib.head parts}.${toString (minor - 1)}.9999";
in
{
  inherit nixpkgs;

  unwrapped =
    let
      one = flake.pict-rs-unwrapped.arguments;
      other = nixpkgs.pict-rs-unwrapped.arguments;
    in
    {
      arguments = differences one other;
      meta = differences one.meta other.meta;
      env = differences (names one.env) (names other.env);
    };

  libaom = lib.map (
    triple:
    let
      both = libaoms (static triple);
    in
    {
      arguments = differences both.flake.arguments both.nixpkgs.arguments;
      meta = differences both.flake.meta both.nixpkgs.meta;
    }
  ) triples;

  # Each refuses to be evaluated.
  static = lib.mapAttrs (_: recipes: (set recipes [ ]).pkgsStatic.pict-rs.drvPath) {
    inherit ours theirs;
  };

  # Of nixpkgs' own libaom, where it fits.
  fitting = lib.mapAttrs (_: libaom: libaom.name) (libaoms fitting);

  broken = lib.mapAttrs (_: recipes: {
    tooOld = (withCompiler tooOld recipes).meta.broken;
    oldest = (withCompiler manifest.rust-version recipes).meta.broken;
  }) { inherit ours theirs; };

  homepage = {
    manifest = manifest.homepage or null;
    nixpkgs = nixpkgs.pict-rs-unwrapped.meta.homepage;
  };

  inherit (manifest) version;
  inherit (nixpkgs.pict-rs-unwrapped.arguments) cargoHash;
  # Of the crate with libaom's sources.
  crate = (libaoms nixpkgs).nixpkgs.src.fetched;

  # Their evaluation is all of it.
  derivations = lib.map (package: package.drvPath) [
    nixpkgs.pict-rs-unwrapped
    nixpkgs.pict-rs
    nixpkgs.nixosTests.pict-rs
  ];
}
