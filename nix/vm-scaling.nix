# Boots a machine whose facts are in PostgreSQL and whose files are in Garage. Evaluated everywhere; it has
# run nowhere yet, because it wants nixpkgs and KVM. tests/compose.rs does the same with the settings of
# contrib/scaling on servers that are here.
let
  # As Garage makes them; only for a test.
  key = "GK0123456789abcdef01234567";
  secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
in
{
  name = "pict-rs-scaling";

  nodes.server =
    { config, pkgs, ... }:
    {
      assertions =
        let
          service = config.systemd.services.pict-rs;
        in
        [
          {
            assertion =
              config.services.pict-rs.settings.repo.type == "postgres"
              && config.services.postgresql.ensureDatabases == [ "pict-rs" ]
              && service.requires == [ "postgresql.target" ];
            message = "the database is not on this machine";
          }
          {
            assertion = builtins.length service.serviceConfig.LoadCredential == 3;
            message = "the secrets are no credentials";
          }
        ];

      services.pict-rs = {
        enable = true;
        database.createLocally = true;
        settings.store = {
          type = "object_storage";
          endpoint = "http://127.0.0.1:3900";
          bucket_name = "pict-rs";
          region = "garage";
          use_path_style = true;
        };
        credentials = {
          PICTRS__SERVER__API_KEY = "/etc/secrets/api-key";
          PICTRS__STORE__ACCESS_KEY = "/etc/secrets/access-key";
          PICTRS__STORE__SECRET_KEY = "/etc/secrets/secret-key";
        };
      };

      services.garage = {
        enable = true;
        package = pkgs.garage;
        settings = {
          replication_factor = 1;
          db_engine = "sqlite";
          rpc_bind_addr = "127.0.0.1:3901";
          rpc_public_addr = "127.0.0.1:3901";
          rpc_secret = secret;
          s3_api = {
            api_bind_addr = "127.0.0.1:3900";
            s3_region = "garage";
          };
        };
      };

      # Only for a test: whatever `environment.etc` holds is in the Nix store.
      environment.etc = {
        "secrets/api-key".text = "from the credential\n";
        "secrets/access-key".text = "${key}\n";
        "secrets/secret-key".text = "${secret}\n";
      };
      environment.systemPackages = [
        pkgs.curl
        pkgs.imagemagick
      ];
    };

  testScript = ''
    import json

    url = "http://127.0.0.1:8080"

    server.wait_for_unit("garage.service")
    server.wait_for_open_port(3900)
    node = server.succeed("garage node id -q").split("@")[0].strip()
    server.succeed(f"garage layout assign -z here -c 1G {node}")
    server.succeed("garage layout apply --version 1")
    server.succeed("garage key import --yes -n pict-rs ${key} ${secret}")
    server.succeed("garage bucket create pict-rs")
    server.succeed("garage bucket allow --read --write pict-rs --key pict-rs")

    # It could not begin without its bucket.
    server.systemctl("restart pict-rs.service")
    server.wait_for_unit("pict-rs.service")
    server.wait_for_open_port(8080)

    with subtest("a picture comes in and a thumbnail goes out"):
        server.succeed("magick -size 640x480 gradient: /tmp/picture.png")
        answer = server.succeed(f"curl --fail --form 'images[]=@/tmp/picture.png' {url}/image")
        alias = json.loads(answer)["files"][0]["file"]
        thumbnail = f"{url}/image/process.webp?src={alias}&thumbnail=64"
        server.succeed(f"curl --fail --output /tmp/thumbnail.webp '{thumbnail}'")
        assert "WEBP 64x48" in server.succeed("magick identify /tmp/thumbnail.webp")

    with subtest("facts are in PostgreSQL and bytes in the bucket"):
        rows = server.succeed("runuser -u postgres -- psql -Atc 'SELECT count(*) FROM hashes' pict-rs")
        assert rows.strip() == "1"
        assert "Objects: 0" not in server.succeed("garage bucket info pict-rs")

    with subtest("no secret is in the environment"):
        server.fail("systemctl show pict-rs | grep ${secret}")

    with subtest("a restart of all three keeps everything"):
        server.systemctl("restart postgresql.service garage.service pict-rs.service")
        server.wait_for_open_port(3900)
        server.wait_for_open_port(8080)
        server.wait_until_succeeds(f"curl --fail --output /dev/null {url}/image/original/{alias}")
  '';
}
