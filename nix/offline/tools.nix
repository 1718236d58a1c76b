# Programs of the machine as packages. Those that a bare binary must not want are not there in
# a static or foreign set; in nixpkgs they would be asked for, and fail after hours: a static
# perl has no modules, so there is no static exiftool.
{
  lib,
  pkgs,
  isForeign,
  suffix,
}:
let
  tool =
    name: programs:
    pkgs.runCommand name { meta.mainProgram = lib.head programs; } ''
      mkdir -p $out/bin
      for program in ${toString programs}; do
        found=$(command -v $program) && ln -s $found $out/bin/$program
      done
      true
    '';

  # Runs on the machine that builds, so every set has it.
  tools = lib.mapAttrs tool {
    binutils = [ "readelf" ];
    busybox = [ "busybox" ];
    cargo = [ "cargo" ];
    clippy = [ "cargo-clippy" ];
    cmake = [ "cmake" ];
    curl = [ "curl" ];
    garage = [ "garage" ];
    make-wrapper = [ "true" ];
    nasm = [ "nasm" ];
    nixfmt-tree = [ "treefmt" ];
    perl = [ "perl" ];
    python3 = [ "python3" ];
    rustfmt = [ "rustfmt" ];
    tini = [ "tini" ];
    version-check-hook = [ "true" ];
  };

  helpers = lib.mapAttrs (
    name: programs:
    lib.throwIf isForeign
      "${name}${suffix} was asked for: a helper program has no place in the bare package"
      (tool name programs)
  );
in
removeAttrs tools [
  "make-wrapper"
  "version-check-hook"
]
// helpers {
  exiftool = [ "exiftool" ];
  ffmpeg-headless = [
    "ffmpeg"
    "ffprobe"
  ];
  imagemagick = [
    # Debian 12 has the names of ImageMagick 6.
    "magick"
    "convert-im6.q16"
    "identify"
  ];
}
// {
  makeBinaryWrapper = tools.make-wrapper;
  versionCheckHook = tools.version-check-hook;
  installShellFiles = pkgs.runCommand "install-shell-files" {
    hook = ./install-shell-files.sh;
  } "install -Dm644 $hook $out/nix-support/setup-hook";
  # Debian's programs say in their name that they are static.
  qemu-user = pkgs.runCommand "qemu-user" { } ''
    mkdir -p $out/bin
    for program in /usr/bin/qemu-*-static; do
      name=$(basename "$program" -static)
      ln -s "$program" "$out/bin/$name"
    done
  '';
}
