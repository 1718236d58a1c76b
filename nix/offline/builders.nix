# What makes derivations: `mkDerivation` with nixpkgs' phases over the machine's own tools, and
# all that is built upon it.
{
  lib,
  pkgs,
  host,
  suffix,
  system,
}:
let
  inherit (pkgs.stdenv) buildPlatform hostPlatform;
  canExecute = buildPlatform.canExecute hostPlatform;

  # Not for the builder's environment.
  ownNames = [
    "cargoLock"
    "env"
    "meta"
    "nativeCheckInputs"
    "nativeInstallCheckInputs"
    "passthru"
  ];

  mkDerivation =
    attrsOrFunction:
    let
      attrs = lib.toFunction attrsOrFunction final;
      doCheck = attrs.doCheck or false && canExecute;
      doInstallCheck = attrs.doInstallCheck or false && canExecute;
      name = attrs.name or "${attrs.pname}${suffix}-${attrs.version}";
      refuse = lib.throwIf (attrs.meta.broken or false
      ) "Package '${name}' is marked as broken, refusing to evaluate.";
      drv = derivation (
        removeAttrs attrs ownNames
        // attrs.env or { }
        // {
          inherit
            doCheck
            doInstallCheck
            name
            system
            ;
          builder = "/bin/bash";
          args = [
            "-e"
            ./builder.sh
          ];
          nativeBuildInputs =
            attrs.nativeBuildInputs or [ ]
            ++ lib.optionals doCheck (attrs.nativeCheckInputs or [ ])
            ++ lib.optionals doInstallCheck (attrs.nativeInstallCheckInputs or [ ]);
          initialPath = host.path;
          inherit (host) rustToolchain rustVersion;
          mainProgram = attrs.meta.mainProgram or "";
        }
        // lib.optionalAttrs (attrs ? cmakeFlags && hostPlatform.isStatic) {
          inherit (host) zigbuild;
          inherit (hostPlatform) zig;
          processor = hostPlatform.parsed.cpu.name;
        }
      );
      final =
        attrs
        // attrs.passthru or { }
        // drv
        // {
          inherit name;
          inherit (pkgs) stdenv;
          drvPath = refuse drv.drvPath;
          outPath = refuse drv.outPath;
          # What the recipe says, to be compared with another.
          arguments = attrs;
          meta = attrs.meta or { };
          finalPackage = final;
          overrideAttrs =
            change:
            mkDerivation (
              self:
              let
                changed = change attrs;
              in
              attrs // (if lib.isFunction changed then change self attrs else changed)
            );
        };
    in
    final;

  fetchers = import ./fetchers.nix { inherit lib host runCommand; };

  # The crates come from `cargo vendor`, run before Nix is: Nix itself needs no network. cargo
  # compares each with the lock file's checksum.
  buildRustPackage =
    attrsOrFunction:
    mkDerivation (
      final:
      let
        attrs = lib.toFunction attrsOrFunction final;
      in
      {
        doCheck = true;
        cargoBuildFlags = [ ];
        cargoTestFlags = [ ];
        buildType = "release";
        checkType = attrs.buildType or "release";
      }
      // attrs
      // {
        cargoDeps =
          lib.throwIf (attrs ? cargoLock == attrs ? cargoHash) "cargoHash or cargoLock must be set"
            (
              lib.throwIf (attrs ? cargoLock && !builtins.pathExists attrs.cargoLock.lockFile)
                "cargoLock.lockFile does not exist"
                (fetchers.checked (attrs.cargoHash or lib.fakeHash) host.vendor)
            );
        cargoTarget = hostPlatform.rust.rustcTarget;
        # A static target has no standard library on the machine: cargo builds it from source,
        # which leaves out the test harness.
        buildStd = lib.optionalString hostPlatform.isStatic host.rustSrc;
        zigbuild = lib.optionalString hostPlatform.isStatic host.zigbuild;
      }
      // lib.optionalAttrs hostPlatform.isStatic { doCheck = false; }
    );

  runCommand =
    name: attrs: script:
    mkDerivation (attrs // { inherit name script; });

  writeExecutable =
    path: name: text:
    runCommand name
      {
        inherit text;
        meta.mainProgram = name;
      }
      ''
        mkdir -p $(dirname $out${path})
        printf '#!/bin/bash\n%s\n' "$text" >$out${path}
        chmod +x $out${path}
      '';
in
{
  inherit mkDerivation runCommand;
  inherit (fetchers) fetchCrate fetchFromGitea;
  rustPlatform = {
    inherit buildRustPackage;
    importCargoLock = { lockFile }: host.vendor;
  };

  writeText = name: text: runCommand name { inherit text; } ''printf %s "$text" >$out'';
  writeShellScript = writeExecutable "";
  writeShellScriptBin = name: writeExecutable "/bin/${name}" name;

  symlinkJoin =
    attrs:
    mkDerivation (
      removeAttrs attrs [ "paths" ]
      // {
        joined = map ({ outPath, ... }: outPath) attrs.paths;
        script = ''
          mkdir -p $out
          for path in $joined; do cp -rs --no-preserve=mode $path/. $out/; done
          runHook postBuild
        '';
      }
    );

  mkShell =
    {
      inputsFrom ? [ ],
      packages ? [ ],
      env ? { },
    }:
    runCommand "nix-shell" {
      inherit env;
      nativeBuildInputs =
        packages ++ lib.concatMap ({ nativeBuildInputs, ... }: nativeBuildInputs) inputsFrom;
    } "mkdir $out";

  formats.toml = _: import ./toml.nix { inherit lib pkgs; };

  testers = {
    testVersion =
      { package }:
      runCommand "${package.name}-test-version" { } ''
        ${lib.getExe package} --version | grep -F ${package.version} >$out
      '';
    inherit (import ./nixos.nix { inherit lib pkgs; }) runNixOSTest;
  };

  dockerTools = {
    fakeNss.override =
      attrs:
      runCommand "fake-nss" { lines = lib.concatLists (lib.attrValues attrs); } "echo $lines >$out";
    # An image full of links into the machine would be of no use to anybody.
    streamLayeredImage =
      {
        name,
        tag,
        contents,
        config,
        extraCommands ? "",
        fakeRootCommands ? "",
      }:
      runCommand "stream-${name}-${tag}"
        {
          inherit contents extraCommands fakeRootCommands;
          config = lib.toJSON config;
          passthru.standin = {
            inherit config;
            contents = map (package: package.standin or { name = package.name; }) contents;
          };
        }
        ''
          echo "the stand-in has no programs to put into an image: this needs nixpkgs itself" >&2
          exit 1
        '';
  };
}
