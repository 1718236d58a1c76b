# As much of NixOS as a module for one service touches, and a test driver that evaluates its
# machines but cannot boot them.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };

  base = {
    options = {
      assertions = option (types.listOf types.anything) [ ];
      networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
      environment.etc = option (types.attrsOf types.anything) { };
      environment.systemPackages = option (types.listOf types.package) [ ];
      systemd.services = option (types.attrsOf service) { };
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
      # Values of any type, each of them several times if it is a list.
      serviceConfig = option (types.attrsOf types.anything) { };
    };
  };

  machine =
    module:
    let
      inherit
        (lib.evalModules {
          modules = [
            base
            taken
            module
          ];
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
  unit =
    {
      description,
      after,
      serviceConfig,
      ...
    }:
    ''
      [Unit]
      Description=${description}
      ${lines "After" after}
      [Service]
      ${lib.concatStringsSep "" (lib.mapAttrsToList lines serviceConfig)}
    '';
in
{
  inherit machine;

  runNixOSTest =
    module:
    let
      test =
        (lib.evalModules {
          modules = [
            {
              options = {
                name = mkOption { type = types.str; };
                nodes = mkOption { type = types.attrsOf types.raw; };
                testScript = mkOption { type = types.str; };
              };
            }
            module
          ];
        }).config;
      nodes = lib.mapAttrs (_: machine) test.nodes;
      units = lib.mapAttrs (_: { systemd, ... }: lib.mapAttrs (_: unit) systemd.services) nodes;
    in
    pkgs.runCommand "vm-test-run-${test.name}"
      {
        # Everything that the machines are is part of the derivation, so it is evaluated.
        units = lib.toJSON units;
        firewall = lib.toJSON (lib.mapAttrs (_: node: node.networking.firewall) nodes);
        inherit (test) testScript;
        passthru.standin = {
          # The units as files, for what systemd can say about a unit without running it.
          units = pkgs.runCommand "units" { } ''
            mkdir $out
            ${lib.concatStringsSep "\n" (
              lib.concatLists (
                lib.mapAttrsToList (
                  _: lib.mapAttrsToList (name: text: "printf %s ${lib.escapeShellArg text} >$out/${name}.service")
                ) units
              )
            )}
          '';
          inherit (test) testScript;
        };
      }
      ''
        echo "the stand-in has no kernel to boot: this test needs nixpkgs itself" >&2
        exit 1
      '';
}
