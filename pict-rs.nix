# The binary with its optional helpers on PATH: ffmpeg and ImageMagick, which the server calls, and
# exiftool, against which `pict-rs verify-clean` holds what is stored of a file. Compiles nothing, so
# it costs seconds. nixpkgs can take this file as it is.
{
  lib,
  stdenv,
  symlinkJoin,
  makeBinaryWrapper,
  runCommand,
  testers,
  nixosTests,
  pict-rs-unwrapped,
  exiftool,
  ffmpeg-headless,
  imagemagick,
}:

let
  pict-rs = symlinkJoin {
    pname = "pict-rs";
    inherit (pict-rs-unwrapped) version;
    name = "pict-rs-${pict-rs-unwrapped.version}";

    paths = [ pict-rs-unwrapped ];
    nativeBuildInputs = [ makeBinaryWrapper ];
    # Behind the user's own PATH, so that a program they chose wins.
    postBuild = ''
      wrapProgram $out/bin/pict-rs \
        --suffix PATH : ${
          lib.makeBinPath [
            exiftool
            ffmpeg-headless
            imagemagick
          ]
        }
    '';

    passthru = {
      unwrapped = pict-rs-unwrapped;
      tests = {
        nixos = nixosTests.pict-rs;
        version = testers.testVersion { package = pict-rs; };
        # The other judge of cleaned files is found, and agrees.
        cleaning = runCommand "pict-rs-cleaning" { } ''
          ${lib.getExe pict-rs} verify-clean ${pict-rs-unwrapped.src}/tests/data/formats/still.jpeg >$out
          grep 'judged by exiftool' $out
        '';
        # The server says at start which of its helpers it found.
        helpers = runCommand "pict-rs-helpers" { } ''
          (PATH= exec ${lib.getExe pict-rs} --no-log-ansi run --address 127.0.0.1:0) >log &
          until grep 'optional programs' log; do sleep 0.1; kill -0 $!; done
          kill $!
          grep 'optional programs' log | grep 'missing="none"'
          touch $out
        '';
      };
    };

    meta = pict-rs-unwrapped.meta // {
      description = "${pict-rs-unwrapped.meta.description}, with its optional helper programs";
      # The wrapper comes first when two packages offer the same file.
      priority = (pict-rs-unwrapped.meta.priority or 5) - 1;
    };
  };
in
lib.throwIf stdenv.hostPlatform.isStatic
  "pict-rs has helper programs on its PATH, and a static package set has no perl for exiftool: use pict-rs-unwrapped, which needs none"
  pict-rs
