# nixpkgs' libaom where its interface is that of the crate `libaom-sys`, to which the crate's
# declarations fit, and else the sources that the crate carries.
{
  lib,
  stdenv,
  fetchCrate,
  libaom,
  cmake,
  perl,
  nasm,
}:

let
  inherit (stdenv.hostPlatform) isx86_64 isAarch64;
in
if lib.versions.majorMinor libaom.version == "3.11" then
  # VMAF would have to be linked too; pict-rs does not ask for it.
  libaom.override { enableVmaf = false; }
else
  stdenv.mkDerivation (finalAttrs: {
    pname = "libaom-for-pict-rs";
    version = "3.11.0";

    src = fetchCrate {
      pname = "libaom-sys";
      version = "0.17.2+libaom.${finalAttrs.version}";
      hash = "sha256-/9xE348UAtA7oT2LU63onTBcFk16H2oMSiY+qiaRtXI=";
    };
    sourceRoot = "${finalAttrs.src.name}/vendor";

    strictDeps = true;
    nativeBuildInputs = [
      cmake
      perl
    ]
    ++ lib.optionals isx86_64 [ nasm ];

    cmakeFlags = [
      (lib.cmakeFeature "AOM_TARGET_CPU" (
        if isx86_64 then
          "x86_64"
        else if isAarch64 then
          "arm64"
        else
          "generic"
      ))
      (lib.cmakeFeature "CONFIG_AV1_DECODER" "0")
      (lib.cmakeFeature "CONFIG_AV1_HIGHBITDEPTH" "0")
      (lib.cmakeFeature "CONFIG_DENOISE" "0")
      (lib.cmakeFeature "CONFIG_LIBYUV" "0")
      (lib.cmakeFeature "CONFIG_PIC" "1")
      (lib.cmakeFeature "CONFIG_WEBM_IO" "0")
      (lib.cmakeFeature "ENABLE_DOCS" "0")
      (lib.cmakeFeature "ENABLE_EXAMPLES" "0")
      (lib.cmakeFeature "ENABLE_NASM" "1")
      (lib.cmakeFeature "ENABLE_TESTDATA" "0")
      (lib.cmakeFeature "ENABLE_TESTS" "0")
      (lib.cmakeFeature "ENABLE_TOOLS" "0")
    ];
    buildFlags = [ "aom" ];

    installPhase = ''
      runHook preInstall
      install -Dm644 -t $out/lib libaom.a
      mkdir -p $out/include
      cp -r ../aom $out/include/
      runHook postInstall
    '';

    meta = {
      description = "AV1 encoder as a static library, for pict-rs";
      homepage = "https://aomedia.googlesource.com/aom/";
      license = lib.licenses.bsd2;
      maintainers = [ ];
      platforms = lib.platforms.unix;
    };
  })
