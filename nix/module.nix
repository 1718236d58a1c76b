# `services.pict-rs` of NixOS. It takes the place of the module of that name in nixpkgs, and
# keeps its `enable`, `package`, `address` and `port`, which the module for Lemmy reads.
#
# Everything lies in /var/lib/pict-rs unless the settings name other folders. Such a folder must
# be there and belong to the user `pict-rs`: define that user, and systemd takes it instead of
# making one up. That user also has to read `server.certificate` and `server.private_key`; their
# changes are noticed without a reload.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.pict-rs;
  toml = pkgs.formats.toml { };

  setting =
    type: description:
    lib.mkOption {
      type = lib.types.nullOr type;
      default = null;
      description = "${description} Null is the server's default.";
    };

  # The file, looked at by the very program that will read it: a value of the wrong type ends
  # the build of the system and not the start of the service.
  settingsFile =
    let
      written = toml.generate "pict-rs.toml" (
        lib.filterAttrsRecursive (_: value: value != null) cfg.settings
      );
    in
    pkgs.runCommand "pict-rs.toml" { } ''
      ${lib.optionalString (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) "${lib.getExe cfg.package} --config-file ${written} check-config"}
      cp ${written} $out
    '';

  run = "${lib.getExe cfg.package} --config-file ${settingsFile} run";

  # The server takes secrets from the environment. They get there behind systemd's back, so
  # that neither the unit nor `systemctl show` has them.
  start = pkgs.writeShellScript "pict-rs-start" ''
    set -eu
    for name in ${lib.concatStringsSep " " (lib.attrNames cfg.credentials)}; do
      value=$(cat "$CREDENTIALS_DIRECTORY/$name")
      [ -n "$value" ] || { echo "the credential $name is empty" >&2; exit 1; }
      export "$name=$value"
    done
    exec ${run}
  '';

  folders = lib.filter (folder: folder != null) [
    cfg.settings.store.path
    cfg.settings.repo.path
    (cfg.settings.repo.export_path or null)
    (cfg.settings.repo.fjall_path or null)
    (cfg.settings.server.temporary_directory or null)
  ];
  hasLowPort = cfg.port < 1024;
in
{
  disabledModules = [ "services/web-apps/pict-rs.nix" ];

  options.services.pict-rs = {
    enable = lib.mkEnableOption "pict-rs, an image server";

    package = lib.mkOption {
      type = lib.types.package;
      description = "The pict-rs to run: with helper programs, or unwrapped without.";
    };

    address = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      example = "::";
      description = "IP address to listen on.";
    };

    port = lib.mkOption {
      type = lib.types.port;
      default = 8080;
      description = "Port to listen on.";
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to open `port` in the firewall. A proxy in front is the usual way.";
    };

    settings = lib.mkOption {
      default = { };
      description = ''
        What `pict-rs.toml` can hold. It can be read by everybody on this machine: secrets go
        into `credentials`.
      '';
      type = lib.types.submodule {
        freeformType = toml.type;
        options = {
          server.max_file_count = setting lib.types.ints.positive "Files per upload.";
          media.max_file_size = setting lib.types.ints.positive "Ceiling for any upload, in MiB.";
          media.concurrency = setting lib.types.ints.unsigned "Pieces of media work at a time.";
          media.queue_length = setting lib.types.ints.unsigned "Pieces of media work that may wait.";
          media.memory = setting lib.types.ints.positive "MiB that media work may use in all.";
          store.path = setting lib.types.path "Folder of the files.";
          repo.path = setting lib.types.path "Folder of the database.";
          tracing.logging.targets = setting lib.types.str "Log filter in the syntax of `RUST_LOG`.";
        };
      };
    };

    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.externalPath;
      default = { };
      example = {
        PICTRS__SERVER__API_KEY = "/run/secrets/pict-rs-api-key";
      };
      description = ''
        Files with secrets, by the environment variable that is to hold their content (several keys
        are `PICTRS__SERVER__API_KEYS`, separated by commas). systemd reads them as root; nothing of
        them gets into the Nix store.
      '';
    };

    ipAddressAllow = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "localhost" ];
      description = "With whom the service may talk at all, see IPAddressAllow= in systemd.resource-control(5).";
    };

    ipAddressDeny = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "any" ];
      description = ''
        With whom the service may not talk, unless `ipAddressAllow` says otherwise. Downloads and
        proxied media need the internet.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.pict-rs.settings.server.address =
      if lib.hasInfix ":" cfg.address then
        "[${cfg.address}]:${toString cfg.port}"
      else
        "${cfg.address}:${toString cfg.port}";

    assertions = [
      {
        assertion =
          !(
            cfg.settings.server ? api_key
            || cfg.settings.server ? api_keys
            || cfg.settings.repo ? url
            || cfg.settings.store ? secret_key
            || cfg.settings.store ? session_token
          );
        message = "services.pict-rs.settings can be read by everybody; give secrets through services.pict-rs.credentials.";
      }
      {
        assertion = lib.all (name: lib.match "PICTRS__[A-Z0-9_]+" name != null) (
          lib.attrNames cfg.credentials
        );
        message = "services.pict-rs.credentials are named like PICTRS__SERVER__API_KEY.";
      }
    ];

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];

    systemd.services.pict-rs = {
      description = "pict-rs image server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];

      serviceConfig = {
        Type = "exec";
        ExecStart = if cfg.credentials == { } then run else start;
        LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") cfg.credentials;
        Restart = "on-failure";
        # Wrong arguments and a configuration that cannot work stay wrong.
        RestartPreventExitStatus = "2 78";
        # Not the name of a file in the Nix store.
        SyslogIdentifier = "pict-rs";

        DynamicUser = true;
        User = "pict-rs";
        StateDirectory = "pict-rs";
        StateDirectoryMode = "0700";
        WorkingDirectory = "/var/lib/pict-rs";
        UMask = "0077";

        # What it sees of the machine: its own folders and processes, and programs to run.
        ProtectSystem = "strict";
        ReadWritePaths = folders;
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        PrivateMounts = true;
        DevicePolicy = "closed";
        ProtectProc = "invisible";
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;

        # What it may become and do.
        CapabilityBoundingSet = if hasLowPort then [ "CAP_NET_BIND_SERVICE" ] else [ "" ];
        AmbientCapabilities = lib.mkIf hasLowPort [ "CAP_NET_BIND_SERVICE" ];
        # A user namespace has no say about the ports of the machine.
        PrivateUsers = !hasLowPort;
        NoNewPrivileges = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        RemoveIPC = true;
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [
          "@system-service"
          "~@privileged @resources"
          # The server sets limits for the helper programs that it runs.
          "prlimit64"
        ];

        # With whom it talks.
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        IPAddressAllow = cfg.ipAddressAllow;
        IPAddressDeny = cfg.ipAddressDeny;
      };
    };
  };
}
