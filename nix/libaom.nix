# libaom, which encodes AVIF: the package set's own where its interface is that of the sources that
# the crate `libaom-sys` carries, to which the crate's declarations fit, and else those sources. The
# crate's own build script would do too, but not for 32-bit ARM.
{
  lib,
  stdenv,
  rustPlatform,
  libaom,
  cmake,
  perl,
  nasm,
}:

let
  inherit (stdenv.hostPlatform) isx86_64;

  crate = lib.findFirst (
    package: package.name == "libaom-sys"
  ) (throw "no libaom-sys in Cargo.lock") (lib.importTOML ../Cargo.lock).package;
  crates = rustPlatform.importCargoLock { lockFile = ../Cargo.lock; };
  configuration = lib.importTOML ../libaom.toml;

  # "0.17.2+libaom.3.11.0": behind the last sign is the library's version.
  version = lib.last (lib.splitString "+libaom." crate.version);
in
if lib.versions.majorMinor libaom.version == lib.versions.majorMinor version then
  # VMAF would have to be linked too; no setting of ours asks for it.
  libaom.override { enableVmaf = false; }
else
  stdenv.mkDerivation (finalAttrs: {
    pname = "libaom-for-pict-rs";
    inherit version;

    dontUnpack = true;
    cmakeDir = "${crates}/libaom-sys-${crate.version}/vendor";

    strictDeps = true;
    nativeBuildInputs = [
      cmake
      perl
    ]
    ++ lib.optionals isx86_64 [ nasm ];

    cmakeFlags = lib.mapAttrsToList (name: value: lib.cmakeFeature name (toString value)) (
      configuration.cmake
      // {
        AOM_TARGET_CPU = configuration.cpu.${stdenv.hostPlatform.parsed.cpu.name} or "generic";
      }
    );
    buildFlags = [ "aom" ];

    installPhase = ''
      runHook preInstall
      install -Dm644 -t $out/lib libaom.a
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
