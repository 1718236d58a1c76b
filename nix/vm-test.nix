# Boots a machine with the module and does what an administrator would try first. nixpkgs can take
# this file as it is: the module is among those of all machines.
{
  name = "pict-rs";

  nodes.server =
    { pkgs, ... }:
    {
      services.pict-rs = {
        enable = true;
        credentials.PICTRS__SERVER__API_KEY = "/etc/pict-rs-api-key";
        settings.media.max_file_size = 8;
        ipAddressAllow = [ "localhost" ];
        ipAddressDeny = [ "any" ];
      };

      # Only for a test: whatever `environment.etc` holds is in the Nix store.
      environment.etc."pict-rs-api-key" = {
        text = "from the credential\n";
        mode = "0400";
      };
      environment.systemPackages = [
        pkgs.curl
        pkgs.imagemagick
      ];
    };

  # What a configuration for the module in nixpkgs says; evaluated, and not booted.
  nodes.before =
    { config, ... }:
    {
      services.pict-rs = {
        enable = true;
        address = "::1";
        port = 9000;
        dataDir = "/srv/pict-rs";
        repoPath = "/srv/database";
      };

      assertions =
        let
          cfg = config.services.pict-rs;
          service = config.systemd.services.pict-rs.serviceConfig;
          equal = found: expected: {
            assertion = found == expected;
            message = "${toString found} is not ${toString expected}";
          };
        in
        [
          (equal cfg.settings.server.address "[::1]:9000")
          (equal cfg.settings.repo.path "/srv/database")
          (equal cfg.settings.store.path "/srv/pict-rs/files")
          (equal service.ReadWritePaths [
            "/srv/pict-rs/files"
            "/srv/database"
          ])
        ];
    };

  testScript = ''
    import json

    url = "http://127.0.0.1:8080"


    def status(path, *options):
        command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "'%{http_code}'"]
        return server.succeed(" ".join([*command, *options, f"'{url}{path}'"]))


    server.wait_for_unit("pict-rs.service")
    server.wait_for_open_port(8080)
    assert status("/healthz") == "200"

    with subtest("a picture comes in and a thumbnail goes out"):
        server.succeed("magick -size 640x480 gradient: /tmp/picture.png")
        answer = server.succeed(f"curl --fail --form 'images[]=@/tmp/picture.png' {url}/image")
        alias = json.loads(answer)["files"][0]["file"]
        thumbnail = f"/image/process.webp?src={alias}&thumbnail=64"
        server.succeed(f"curl --fail --output /tmp/thumbnail.webp '{url}{thumbnail}'")
        assert "WEBP 64x48" in server.succeed("magick identify /tmp/thumbnail.webp")

    with subtest("internal routes want the key of the credential"):
        internal = f"/internal/aliases?alias={alias}"
        assert status(internal) != "200"
        assert status(internal, "--header", "'X-Api-Token: wrong'") != "200"
        assert status(internal, "--header", "'X-Api-Token: from the credential'") == "200"
        server.fail("systemctl show pict-rs | grep 'from the credential'")

    with subtest("a restart keeps everything"):
        server.systemctl("restart pict-rs.service")
        server.wait_for_open_port(8080)
        assert status(f"/image/original/{alias}") == "200"
        assert status(thumbnail) == "200"

    with subtest("a limit of the settings holds"):
        server.succeed("head --bytes 9M /dev/urandom > /tmp/large.png")
        assert status("/image", "--form", "'images[]=@/tmp/large.png'")[0] == "4"

    with subtest("the unit is closed"):
        # Tenths: 20 is an exposure of 2.0, which systemd calls OK.
        print(server.succeed("systemd-analyze security --threshold=20 pict-rs.service"))
        server.succeed("stat --format %a /var/lib/private/pict-rs | grep 700")

    with subtest("it stops when asked to"):
        server.systemctl("stop pict-rs.service")
        result = server.succeed("systemctl show --property Result --value pict-rs.service")
        assert result.strip() == "success"
  '';
}
