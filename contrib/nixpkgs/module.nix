# `services.pict-rs` of NixOS, with all options of the module that nixpkgs had for pict-rs 0.5; the
# module for Lemmy makes a URL of `address` and `port`.
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

  # As a URL and a socket have it.
  bracketed =
    address: if lib.hasInfix ":" address && !lib.hasPrefix "[" address then "[${address}]" else address;

  # What the server reads from a file whose name is in a variable.
  secrets = [
    "PICTRS__SERVER__API_KEY"
    "PICTRS__SERVER__API_KEYS"
    "PICTRS__REPO__URL"
    "PICTRS__STORE__ACCESS_KEY"
    "PICTRS__STORE__SECRET_KEY"
    "PICTRS__STORE__SESSION_TOKEN"
    "PICTRS__TAKEOVER__API_KEY"
  ];

  # Through the socket, where PostgreSQL asks for no password: it knows the user.
  localDatabase = "postgres:///pict-rs?host=/run/postgresql&user=pict-rs";

  stateFolder = "/var/lib/pict-rs";

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
  meta.maintainers = [ ];

  options.services.pict-rs = {
    enable = lib.mkEnableOption "pict-rs, an image server";

    package = lib.mkPackageOption pkgs "pict-rs" {
      extraDescription = "With helper programs, or `pict-rs-unwrapped` without.";
    };

    address = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      example = "::1";
      apply = bracketed;
      description = "IP address to listen on; IPv6 with or without brackets.";
    };

    port = lib.mkOption {
      type = lib.types.port;
      default = 8080;
      description = "Port to listen on.";
    };

    dataDir = lib.mkOption {
      type = lib.types.path;
      default = stateFolder;
      description = "Folder of the folders `files` and `database`, unless others are named.";
    };

    repoPath = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "Folder of the database; the same as `settings.repo.path`.";
    };

    storePath = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "Folder of the files; the same as `settings.store.path`.";
    };

    database.createLocally = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to keep the database in PostgreSQL on this machine, which is enabled, and where it
        and its user are made; else it is embedded, or where `settings.repo` says. A database that
        is there already is moved by `pict-rs-admin migrate-repo`.
      '';
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
        PICTRS__STORE__ACCESS_KEY = "/run/secrets/s3-access-key";
        PICTRS__STORE__SECRET_KEY = "/run/secrets/s3-secret-key";
      };
      description = ''
        Files with secrets, by the environment variable that could hold them (several keys are
        `PICTRS__SERVER__API_KEYS`, one a line). systemd reads them as root and gives the server a
        copy; neither the Nix store nor the environment has them.
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

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf cfg.database.createLocally {
        services.pict-rs.settings.repo = {
          type = "postgres";
          url = localDatabase;
        };

        services.postgresql = {
          enable = true;
          ensureDatabases = [ "pict-rs" ];
          ensureUsers = [
            {
              name = "pict-rs";
              ensureDBOwnership = true;
            }
          ];
        };

        systemd.services.pict-rs = {
          after = [ "postgresql.target" ];
          requires = [ "postgresql.target" ];
        };
      })

      {
        services.pict-rs.settings = {
          server.address = "${bracketed cfg.address}:${toString cfg.port}";
          repo.path = lib.mkMerge [
            (lib.mkIf (cfg.dataDir != stateFolder) (lib.mkDefault "${cfg.dataDir}/database"))
            (lib.mkIf (cfg.repoPath != null) cfg.repoPath)
          ];
          store.path = lib.mkMerge [
            (lib.mkIf (cfg.dataDir != stateFolder) (lib.mkDefault "${cfg.dataDir}/files"))
            (lib.mkIf (cfg.storePath != null) cfg.storePath)
          ];
        };

        assertions = [
          {
            assertion =
              !(
                cfg.settings.server ? api_key
                || cfg.settings.server ? api_keys
                || cfg.settings.server ? named_keys
                || cfg.settings.repo.url or localDatabase != localDatabase
                || cfg.settings.store ? secret_key
                || cfg.settings.store ? session_token
                || cfg.settings.takeover.api_key or null != null
              );
            message = "services.pict-rs.settings can be read by everybody; give secrets through services.pict-rs.credentials.";
          }
          {
            assertion = lib.all (name: lib.elem name secrets) (lib.attrNames cfg.credentials);
            message = "services.pict-rs.credentials are ${lib.concatStringsSep ", " secrets}.";
          }
        ];

        # Runs a command as the service would.
        environment.systemPackages = [
          (pkgs.writeShellScriptBin "pict-rs-admin" ''
            exec ${pkgs.runtimeShell} ${cfg.package}/share/pict-rs/pict-rs-admin "$@"
          '')
        ];

        networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];

        systemd.services.pict-rs = {
          description = "pict-rs image server";
          wantedBy = [ "multi-user.target" ];
          after = [ "network-online.target" ];
          wants = [ "network-online.target" ];

          serviceConfig = {
            # A start is done when the server listens, and has failed when it refuses its configuration.
            Type = "notify";
            # The first start of a new version may rebuild a database of millions of media.
            TimeoutStartSec = "15min";
            ExecStart = "${lib.getExe cfg.package} --config-file ${settingsFile} run";
            Environment = map (name: "${name}_FILE=%d/${name}") (lib.attrNames cfg.credentials);
            LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") cfg.credentials;
            Restart = "on-failure";
            RestartSec = "2s";
            # Wrong arguments and a configuration that cannot work stay wrong.
            RestartPreventExitStatus = "2 78";
            # Longer than server.shutdown_timeout.
            TimeoutStopSec = "45s";
            # Processes that decode files end with the server, which lets running requests end first.
            KillMode = "mixed";
            LimitNOFILE = 65536;

            DynamicUser = true;
            User = "pict-rs";
            StateDirectory = "pict-rs";
            StateDirectoryMode = "0700";
            WorkingDirectory = stateFolder;
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
              # The server sets limits for the processes that it runs.
              "prlimit64"
              # Processes that decode files give up what the server may do.
              "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp"
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
      }
    ]
  );
}
