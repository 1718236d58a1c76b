# An OCI image: the bare binary of the machine's own kind, its helpers, and a busybox for health
# checks. It replaces the image `asonix/pictrs`: data under /mnt, user 991, port 8080, the same
# commands. An image around a static binary, for every processor, is made by `cargo xtask dist`.
#
# $(nix build --print-out-paths .#docker) | docker load
{
  lib,
  dockerTools,
  busybox,
  exiftool,
  ffmpeg-headless,
  imagemagick,
  pict-rs-unwrapped,
  tini,
}:

let
  # Native: a static one would want a cross toolchain, which no public cache has.
  pict-rs = pict-rs-unwrapped;
  manifest = (lib.importTOML ../Cargo.toml).workspace.package;
in
dockerTools.streamLayeredImage {
  name = "pict-rs";
  tag = pict-rs.version;

  contents = [
    busybox
    pict-rs
    exiftool
    ffmpeg-headless
    imagemagick
    tini
    (dockerTools.fakeNss.override {
      extraPasswdLines = [ "pict-rs:x:991:991:pict-rs:/mnt:/bin/sh" ];
      extraGroupLines = [ "pict-rs:x:991:" ];
    })
  ];

  # Compose files write these paths out.
  extraCommands = ''
    mkdir -p mnt sbin usr/local/bin
    ln -sf /bin/tini sbin/tini
    ln -s ${pict-rs}/bin/pict-rs usr/local/bin/pict-rs
  '';
  fakeRootCommands = "chown 991:991 mnt";

  config = {
    Entrypoint = [
      "/sbin/tini"
      "--"
    ];
    Cmd = [
      "pict-rs"
      "run"
    ];
    User = "991:991";
    WorkingDir = "/mnt";
    Volumes."/mnt" = { };
    ExposedPorts."8080/tcp" = { };
    Env = [
      "PATH=/bin:/sbin"
      # The data folder. Files go to /mnt/files and the database to /mnt/database unless a
      # setting says otherwise, be it a file, a variable or a flag.
      "STATE_DIRECTORY=/mnt"
    ];
    Healthcheck = {
      Test = [
        "CMD-SHELL"
        # The port is the user's to choose.
        ''address=''${PICTRS__SERVER__ADDRESS:-:8080}; wget -q -O /dev/null "http://127.0.0.1:''${address##*:}/healthz"''
      ];
      # In nanoseconds.
      Interval = 30 * 1000000000;
      Timeout = 5 * 1000000000;
      StartPeriod = 10 * 1000000000;
      Retries = 3;
    };
    Labels = {
      "org.opencontainers.image.title" = "pict-rs";
      "org.opencontainers.image.description" = pict-rs.meta.description;
      "org.opencontainers.image.version" = pict-rs.version;
      "org.opencontainers.image.licenses" = pict-rs.meta.license.spdxId;
      "org.opencontainers.image.source" = manifest.repository;
      "org.opencontainers.image.url" = manifest.homepage;
    };
  };
}
