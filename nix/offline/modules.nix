# NixOS' module system in little: modules declare options and define values for them.
lib:
let
  # Of a module without `config`, everything else is a definition.
  sections = [
    "_file"
    "_module"
    "disabledModules"
    "freeformType"
    "imports"
    "key"
    "options"
  ];

  isOption = value: value._type or "" == "option";

  mergeOptions =
    path:
    lib.zipAttrsWith (
      name: found:
      let
        here = path ++ [ name ];
      in
      if lib.length found == 1 then
        lib.head found
      else if lib.any isOption found then
        throw "The option `${lib.concatStringsSep "." here}' is already declared"
      else
        mergeOptions here found
    );

  # Conditions and priorities that stand above an option are pushed down to it: the names below
  # must be known before a condition, which may depend on them.
  push =
    definition:
    let
      onEach = wrap: map (lib.mapAttrs (_: wrap)) (push definition.content);
    in
    {
      "if" = onEach (lib.mkIf definition.condition);
      override = onEach (lib.mkOverride definition.priority);
      merge = lib.concatMap push definition.contents;
    }
    .${definition._type or ""} or [ definition ];

  # The values of `options`, and what was defined without being declared.
  evaluate =
    path: options: definitions:
    let
      sets = lib.concatMap push definitions;
      under = name: lib.catAttrs name sets;
      results = lib.mapAttrs (
        name: option:
        let
          here = path ++ [ name ];
          default = lib.optional (option ? default) (lib.mkOptionDefault option.default);
        in
        if isOption option then
          {
            value = lib.mergeDefinitions here option.type (under name ++ default);
            undeclared = [ ];
          }
        else
          evaluate here option (under name)
      ) options;
    in
    {
      value = lib.mapAttrs (_: result: result.value) results;
      undeclared =
        lib.filter (rest: rest != { }) (map (set: removeAttrs set (lib.attrNames options)) sets)
        ++ lib.concatLists (
          lib.mapAttrsToList (name: result: map (rest: { ${name} = rest; }) result.undeclared) results
        );
    };

  update =
    old: new:
    if lib.isAttrs old && lib.isAttrs new && !lib.isDerivation new then
      old // lib.mapAttrs (name: value: if old ? ${name} then update old.${name} value else value) new
    else
      new;

  names =
    set:
    lib.concatStringsSep " " (
      lib.mapAttrsToList (
        name: value:
        if lib.isAttrs value && !(value ? _type) && lib.length (lib.attrNames value) == 1 then
          "${name}.${names value}"
        else
          name
      ) set
    );
in
{
  evalModules =
    {
      modules,
      specialArgs ? { },
      path ? [ ],
    }:
    let
      load =
        module:
        let
          value = if lib.isAttrs module || lib.isFunction module then module else import module;
          content =
            if lib.isFunction value then
              value ({ inherit lib config; } // lib.mapAttrs (name: _: argument name) (lib.functionArgs value))
            else
              value;
        in
        [
          {
            key = content.key or null;
            disabled = content.disabledModules or [ ];
            freeform = content.freeformType or null;
            arguments = content._module.args or { };
            options = content.options or { };
            config = content.config or (removeAttrs content sections);
          }
        ]
        ++ lib.concatMap load (content.imports or [ ]);

      argument =
        name:
        if name == "config" then
          config
        else if name == "lib" then
          lib
        else
          specialArgs.${name} or (lib.foldl' (all: { arguments, ... }: all // arguments) { } active).${name};

      all = lib.concatMap load modules;
      disabled = lib.concatMap ({ disabled, ... }: disabled) all;
      active = lib.filter ({ key, ... }: key == null || !lib.elem key disabled) all;

      options = mergeOptions path (map ({ options, ... }: options) active);
      result = evaluate path options (map ({ config, ... }: config) active);
      freeform = lib.filter (type: type != null) (map ({ freeform, ... }: freeform) active);

      # What modules see: it must not ask for undeclared names, which may depend on it.
      config =
        if freeform == [ ] then
          result.value
        else
          update ((lib.head freeform).merge path (result.undeclared ++ [ { } ])) result.value;
    in
    {
      inherit options;
      config = lib.throwIf (
        freeform == [ ] && result.undeclared != [ ]
      ) "The option `${names (lib.head result.undeclared)}' does not exist" config;
    };
}
