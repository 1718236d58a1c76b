# `callPackage`: fills a file's arguments from the set. What it was asked for stays with the
# result as `standin`, for `cargo xtask flake` to look at.
{ lib, pkgs }:
let
  callPackage =
    file: given:
    let
      f = if lib.isFunction file then file else import file;
      asked = lib.functionArgs f;
      filled = builtins.intersectAttrs asked pkgs // given;
      lacking = lib.filter (name: !asked.${name} && !(filled ? ${name})) (lib.attrNames asked);
      surplus = lib.filter (name: !(asked ? ${name})) (lib.attrNames given);
      inherit (pkgs.stdenv) hostPlatform;
    in
    lib.throwIf (lacking != [ ]) "callPackage ${toString file}: there is no ${toString lacking}" (
      lib.throwIf (surplus != [ ]) "callPackage ${toString file}: does not take ${toString surplus}" (
        f filled
        // {
          override = changes: callPackage file (given // lib.toFunction changes filled);
          standin = (f filled).standin or { } // {
            file = baseNameOf (toString file);
            asked = lib.attrNames asked;
            host = hostPlatform.config;
            rustTarget = hostPlatform.rust.rustcTarget;
            static = hostPlatform.isStatic;
          };
        }
      )
    );
in
callPackage
