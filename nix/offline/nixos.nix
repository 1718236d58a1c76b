# As much of NixOS as a module for one service touches, and a test driver that evaluates its
# machines but cannot boot them.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };

  base = {
    options = {
      meta.maintainers = option (types.listOf types.anything) [ ];
      assertions = option (types.listOf types.anything) [ ];
      networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
      environment.etc = option (types.attrsOf types.anything) { };
      environment.systemPackages = option (types.listOf types.package) [ ];
      systemd.services = option (types.attrsOf service) { };
      services.postgresql = {
        enable = lib.mkEnableOption "PostgreSQL";
        ensureDatabases = option (types.listOf types.str) [ ];
        ensureUsers = option (types.listOf types.anything) [ ];
      };
      services.garage = {
        enable = lib.mkEnableOption "Garage";
        package = option (types.nullOr types.package) null;
        settings = option (types.attrsOf types.anything) { };
        environmentFile = option (types.nullOr types.path) null;
      };
    };
  };

  # A module of that name is in nixpkgs: declaring its options again without disabling it is an
  # error there.
  taken = {
    key = "services/web-apps/pict-rs.nix";
    options.services.pict-rs.enable = lib.mkEnableOption "the pict-rs of nixpkgs";
  };

  service = types.submodule {
    options = {
      description = option types.str "";
      wantedBy = option (types.listOf types.str) [ ];
      after = option (types.listOf types.str) [ ];
      wants = option (types.listOf types.str) [ ];
      requires = option (types.listOf types.str) [ ];
      # Values of any type, each of them several times if it is a list.
      serviceConfig = option (types.attrsOf types.anything) { };
    };
  };

  machine =
    own:
    let
      inherit
        (lib.evalModules {
          modules = [
            base
            taken
          ]
          ++ own;
          specialArgs = { inherit pkgs; };
        })
        config
        ;
      broken = lib.filter ({ assertion, ... }: !assertion) config.assertions;
    in
    lib.throwIf (broken != [ ]) "Failed assertions: ${
      lib.concatMapStringsSep " " ({ message, ... }: message) broken
    }" config;

  words =
    value:
    if value == true then
      "true"
    else if value == false then
      "false"
    else
      toString value;
  lines =
    name: value:
    if lib.isList value then
      lib.concatMapStringsSep "" (entry: "${name}=${words entry}\n") value
    else
      "${name}=${words value}\n";
  unit = service: ''
    [Unit]
    Description=${service.description}
    ${lines "After" service.after}
    ${lines "Wants" service.wants}
    ${lines "Requires" service.requires}
    [Service]
    ${lib.concatStringsSep "" (lib.mapAttrsToList lines service.serviceConfig)}
  '';

  # Commands that write the files of a machine below $out.
  write = path: text: "install -D -m 400 /dev/stdin $out/${path} <<<${lib.escapeShellArg text}\n";
  enable = name: target: ''
    mkdir -p $out/etc/systemd/system/${target}.wants
    ln -s ../${name}.service $out/etc/systemd/system/${target}.wants/${name}.service
  '';
  files =
    node:
    lib.concatStringsSep "" (
      lib.mapAttrsToList (name: file: write "etc/${name}" file.text) node.environment.etc
      ++ lib.mapAttrsToList (
        name: service:
        write "etc/systemd/system/${name}.service" (unit service)
        + lib.concatMapStringsSep "" (enable name) service.wantedBy
      ) node.systemd.services
    );
in
{
  runNixOSTest =
    module:
    let
      test =
        (lib.evalModules {
          modules = [
            {
              options = {
                name = mkOption { type = types.str; };
                defaults = option types.raw { };
                nodes = mkOption { type = types.attrsOf types.raw; };
                testScript = mkOption { type = types.str; };
              };
            }
            module
          ];
        }).config;
      nodes = lib.mapAttrs (
        _: node:
        machine [
          test.defaults
          node
        ]
      ) test.nodes;
    in
    pkgs.runCommand "vm-test-run-${test.name}"
      {
        # Everything that the machines are is part of the derivation, so it is evaluated.
        machines = lib.toJSON (
          lib.mapAttrs (_: node: {
            units = lib.mapAttrs (_: unit) node.systemd.services;
            inherit (node.networking) firewall;
            inherit (node.services) garage postgresql;
          }) nodes
        );
        inherit (test) testScript;
        # What a machine is made of, for those who have a system to put it into.
        passthru.standin = lib.mapAttrs (
          name: node: pkgs.runCommand name { } (files node + write "srv/test.py" test.testScript)
        ) nodes;
      }
      ''
        echo "the stand-in has no kernel to boot: this test needs nixpkgs itself" >&2
        exit 1
      '';
}
