# The part of nixpkgs' lib that this repository uses, under the same names.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    isAttrs
    isFunction
    listToAttrs
    map
    stringLength
    substring
    ;

  nameValuePair = name: value: { inherit name value; };
  optionals = condition: list: if condition then list else [ ];
  getOutput = output: drv: drv.${output} or drv.out or drv;
  getBin = getOutput "bin";
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
  # No function that could hide a typing error by guessing.
  throwIf =
    condition: message: value:
    if condition then throw message else value;

  license = spdxId: {
    inherit spdxId;
    free = true;
  };

  linux = [
    "x86_64-linux"
    "aarch64-linux"
    "armv7l-linux"
    "riscv64-linux"
  ];
  darwin = [ "aarch64-darwin" ];

  # Sets of whole paths only.
  files = set: set._files or [ set ];
  fileset = {
    unions = sets: { _files = concatLists (map files sets); };
    toSource =
      { root, fileset }:
      let
        keep = map toString (files fileset);
        missing = filter (path: !builtins.pathExists path) (files fileset);
        isUnder = path: folder: path == folder || hasPrefix (folder + "/") path;
      in
      throwIf (missing != [ ]) "lib.fileset.toSource: ${toString missing} does not exist" {
        outPath = builtins.path {
          path = root;
          name = "source";
          filter =
            path: type:
            builtins.any (kept: isUnder path kept || (type == "directory" && isUnder kept path)) keep;
        };
      };
  };

  self = {
    inherit
      escapeShellArg
      fileset
      getBin
      getOutput
      hasPrefix
      nameValuePair
      optionals
      throwIf
      ;
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      catAttrs
      concatLists
      concatMap
      concatStringsSep
      elem
      elemAt
      filter
      foldl'
      fromJSON
      functionArgs
      genList
      head
      isAttrs
      isBool
      isFunction
      isInt
      isList
      isString
      length
      listToAttrs
      map
      mapAttrs
      match
      readFile
      replaceStrings
      tail
      toJSON
      ;

    getDev = getOutput "dev";
    # What a recipe has until its sources were fetched once.
    fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    last = list: builtins.elemAt list (builtins.length list - 1);
    splitString =
      separator: text:
      let
        # Every sign stands for itself.
        literal = builtins.replaceStrings [ "+" "." ] [ "[+]" "[.]" ] separator;
      in
      filter builtins.isString (builtins.split literal text);
    versionOlder = one: other: builtins.compareVersions one other < 0;
    versions.majorMinor =
      version:
      let
        parts = builtins.splitVersion version;
      in
      "${builtins.elemAt parts 0}.${builtins.elemAt parts 1}";
    cmakeFeature = name: value: "-D${name}:STRING=${value}";

    findFirst =
      is: default: list:
      let
        found = filter is list;
      in
      if found == [ ] then default else builtins.head found;
    optional = condition: value: optionals condition [ value ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    hasInfix = infix: text: builtins.replaceStrings [ infix ] [ "" ] text != text;
    hasSuffix =
      suffix: text:
      let
        start = stringLength text - stringLength suffix;
      in
      start >= 0 && substring start (-1) text == suffix;
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    filterAttrs =
      keep: set:
      listToAttrs (
        map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set))
      );
    filterAttrsRecursive =
      keep: set:
      self.mapAttrs (_: value: if isAttrs value then self.filterAttrsRecursive keep value else value) (
        self.filterAttrs keep set
      );
    zipAttrsWith =
      f: sets:
      self.genAttrs (attrNames (self.foldl' (all: set: all // set) { } sets)) (
        name: f name (self.catAttrs name sets)
      );
    concatMapStringsSep =
      separator: f: list:
      concatStringsSep separator (map f list);
    toFunction = value: if isFunction value then value else _: value;
    getExe =
      drv:
      "${getBin drv}/bin/${
        drv.meta.mainProgram or (throw "getExe: ${drv.name} has no meta.mainProgram")
      }";
    makeBinPath = drvs: concatStringsSep ":" (map (drv: "${getBin drv}/bin") drvs);
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    isDerivation = value: isAttrs value && value.type or null == "derivation";

    licenses = {
      agpl3Only = license "AGPL-3.0-only";
      agpl3Plus = license "AGPL-3.0-or-later";
      bsd2 = license "BSD-2-Clause";
    };
    platforms = {
      inherit linux darwin;
      unix = linux ++ darwin;
      all = linux ++ darwin;
    };
  };
in
self
// import ./options.nix self
// {
  inherit (import ./modules.nix (self // import ./options.nix self)) evalModules;
}
