# Options and their types, as modules declare them. A type knows what it accepts (`check`) and
# how several definitions become one value (`merge`).
lib:
let
  inherit (builtins) typeOf;

  property = _type: attrs: attrs // { inherit _type; };
  mkOverride = priority: content: property "override" { inherit priority content; };

  where = lib.concatStringsSep ".";

  # What is left of a definition when conditions and priorities are carried out.
  discharge =
    priority: value:
    if !lib.isAttrs value then
      [ { inherit priority value; } ]
    else if value._type or "" == "if" then
      lib.optionals value.condition (discharge priority value.content)
    else if value._type or "" == "merge" then
      lib.concatMap (discharge priority) value.contents
    else if value._type or "" == "override" then
      discharge value.priority value.content
    else
      [ { inherit priority value; } ];

  # The value of an option at `path` after all its definitions.
  mergeDefinitions =
    path: type: definitions:
    let
      found = lib.concatMap (discharge 100) definitions;
      strongest = lib.foldl' (
        best: { priority, ... }: if priority < best then priority else best
      ) 9999 found;
      values = map ({ value, ... }: value) (lib.filter ({ priority, ... }: priority == strongest) found);
      wrong = lib.filter (value: !type.check value) values;
    in
    if values == [ ] then
      throw "The option `${where path}' was accessed but has no value defined"
    else if wrong != [ ] then
      throw "A definition for option `${where path}' is not of type `${type.name}', but a ${typeOf (lib.head wrong)}"
    else
      type.merge path values;

  same =
    path: values:
    let
      first = lib.head values;
    in
    # Functions do not even equal themselves.
    if lib.all (value: value == first) (lib.tail values) then
      first
    else
      throw "The option `${where path}' has conflicting definition values";

  plain = name: check: {
    inherit name check;
    merge = same;
  };
  isPath =
    value: typeOf value == "path" || (lib.isString value && lib.hasPrefix "/" value) || value ? outPath;
  isStorePath =
    value: typeOf value == "path" || value ? outPath || lib.hasPrefix builtins.storeDir value;
  integer = name: check: plain name (value: lib.isInt value && check value);

  types = {
    bool = plain "boolean" lib.isBool;
    int = integer "signed integer" (_: true);
    float = plain "floating point number" builtins.isFloat;
    str = plain "string" lib.isString;
    port = integer "16 bit unsigned integer" (value: value >= 0 && value < 65536);
    path = plain "absolute path" isPath;
    externalPath = plain "absolute path not in the Nix store" (
      value: isPath value && !isStorePath value
    );
    package = plain "package" lib.isDerivation;
    raw = plain "raw value" (_: true);
    ints = {
      positive = integer "positive integer" (value: value > 0);
      unsigned = integer "unsigned integer" (value: value >= 0);
    };

    nullOr = inner: {
      name = "null or ${inner.name}";
      check = value: value == null || inner.check value;
      merge =
        path: values: if lib.all (value: value == null) values then null else inner.merge path values;
    };
    listOf = inner: {
      name = "list of ${inner.name}";
      check = lib.isList;
      merge = path: values: map (value: mergeDefinitions path inner [ value ]) (lib.concatLists values);
    };
    attrsOf = inner: {
      name = "attribute set of ${inner.name}";
      check = lib.isAttrs;
      merge =
        path: values:
        lib.mapAttrs (_: { value, ... }: value) (
          lib.filterAttrs (_: { some, ... }: some) (
            lib.zipAttrsWith (name: definitions: {
              some = lib.concatMap (discharge 100) definitions != [ ];
              value = mergeDefinitions (path ++ [ name ]) inner definitions;
            }) values
          )
        );
    };
    oneOf = inners: {
      name = lib.concatMapStringsSep " or " ({ name, ... }: name) inners;
      check = value: lib.any (inner: inner.check value) inners;
      merge =
        path: values:
        let
          fitting = lib.filter (inner: lib.all inner.check values) inners;
        in
        if fitting == [ ] then
          throw "The option `${where path}' has definitions of several types"
        else
          (lib.head fitting).merge path values;
    };
    submodule = module: {
      name = "submodule";
      check = value: lib.isAttrs value || lib.isFunction value;
      merge =
        path: values:
        ((import ./modules.nix (lib // self)).evalModules {
          inherit path;
          modules = [
            module
          ]
          ++ map (value: if lib.isAttrs value then { config = value; } else value) values;
        }).config;
    };
    # Whatever JSON can say.
    anything =
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf types.anything // { name = "attribute set"; })
        (types.listOf types.anything // { name = "list"; })
        types.raw
      ]
      // {
        name = "anything";
      };
  };

  self = {
    inherit
      types
      mergeDefinitions
      discharge
      mkOverride
      ;
    mkOption = property "option";
    mkEnableOption =
      what:
      self.mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${what}.";
      };
    mkPackageOption =
      pkgs: name:
      {
        extraDescription ? "",
      }:
      self.mkOption {
        type = types.package;
        default = pkgs.${name};
        description = "The ${name} package to use. ${extraDescription}";
      };
    mkIf = condition: content: property "if" { inherit condition content; };
    mkMerge = contents: property "merge" { inherit contents; };
    mkForce = mkOverride 50;
    mkDefault = mkOverride 1000;
    mkOptionDefault = mkOverride 1500;
  };
in
self
