# libaom, which encodes AVIF, from the sources that the crate `libaom-sys` carries: the crate's
# declarations fit these, while a libaom of the package set may be newer. The crate's own build
# script would do too, but not for 32-bit ARM.
{
  lib,
  stdenv,
  rustPlatform,
  cmake,
  perl,
  nasm,
}:

let
  inherit (stdenv.hostPlatform) isx86_64 isAarch64;

  crate = lib.findFirst (
    package: package.name == "libaom-sys"
  ) (throw "no libaom-sys in Cargo.lock") (lib.importTOML ../Cargo.lock).package;
  crates = rustPlatform.importCargoLock { lockFile = ../Cargo.lock; };
in
stdenv.mkDerivation (finalAttrs: {
  pname = "libaom-for-pict-rs";
  inherit (crate) version;

  dontUnpack = true;
  cmakeDir = "${crates}/libaom-sys-${crate.version}/vendor";

  strictDeps = true;
  nativeBuildInputs = [
    cmake
    perl
  ]
  ++ lib.optionals isx86_64 [ nasm ];

  # All that does not encode 4:2:0 pictures is left out. Not every 32-bit ARM has NEON.
  cmakeFlags = [
    "-DAOM_TARGET_CPU=${
      if isx86_64 then
        "x86_64"
      else if isAarch64 then
        "arm64"
      else
        "generic"
    }"
    "-DCONFIG_AV1_DECODER=0"
    "-DCONFIG_LIBYUV=0"
    "-DCONFIG_WEBM_IO=0"
    "-DENABLE_DOCS=0"
    "-DENABLE_EXAMPLES=0"
    "-DENABLE_TESTDATA=0"
    "-DENABLE_TESTS=0"
    "-DENABLE_TOOLS=0"
    "-DENABLE_NASM=1"
  ];
  buildFlags = [ "aom" ];

  installPhase = ''
    runHook preInstall
    install -D -m 644 -t $out/lib libaom.a
    mkdir -p $out/include
    cp -r ${finalAttrs.cmakeDir}/aom $out/include/
    runHook postInstall
  '';

  meta = {
    description = "AV1 encoder as a static library, for pict-rs";
    homepage = "https://aomedia.googlesource.com/aom/";
    license = lib.licenses.bsd2;
    platforms = lib.platforms.unix;
  };
})
