# `pkgs.formats.toml`: which values a file can have, and the file.
{ lib, pkgs }:
let
  inherit (lib) types;

  value =
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      (types.attrsOf value // { name = "table"; })
      (types.listOf value // { name = "array"; })
    ]
    // {
      name = "TOML value";
    };

  # JSON's strings, numbers, booleans and arrays of them are TOML's too.
  table =
    path: set:
    let
      isTable = lib.isAttrs;
      plain = lib.filterAttrs (_: entry: !isTable entry) set;
      tables = lib.filterAttrs (_: isTable) set;
    in
    lib.optionalString (path != [ ] && plain != { }) "[${lib.concatStringsSep "." path}]\n"
    + lib.concatStringsSep "" (
      lib.mapAttrsToList (name: entry: "${name} = ${lib.toJSON entry}\n") plain
      ++ lib.mapAttrsToList (name: table (path ++ [ name ])) tables
    );
in
{
  type = value;
  generate = name: set: pkgs.writeText name (table [ ] set);
}
