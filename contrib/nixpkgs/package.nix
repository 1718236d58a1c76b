{
  lib,
  stdenv,
  rustPlatform,
  rustc,
  fetchFromGitea,
  installShellFiles,
  nasm,
  versionCheckHook,
  nix-update-script,
  nixosTests,
  callPackage,
  buildPackages,
  # Without it AVIF is written by rav1e, which takes many times as long, and no cmake is needed.
  withLibaom ? true,
}:

let
  libaom = callPackage ./libaom.nix { };
  features = lib.optionals withLibaom [ "pict-rs/libaom" ];
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = "pict-rs-unwrapped";
  version = "0.7.0";

  src = fetchFromGitea {
    domain = "git.example.org";
    owner = "pict-rs";
    repo = "pict-rs";
    tag = "v${finalAttrs.version}";
    hash = lib.fakeHash;
  };

  cargoHash = "sha256-+5q4D1caqbXTYrWYWXDmzQHo7IZRXfKD04K57V18bcg=";
  cargoBuildFlags = [ "--package=pict-rs" ];
  buildFeatures = features;
  # The integration tests start servers.
  cargoTestFlags = [
    "--workspace"
    "--lib"
    "--bins"
  ];

  strictDeps = true;
  nativeBuildInputs = [
    installShellFiles
  ]
  # Assembles libjpeg's SIMD on x86-64; without it JPEGs decode at half the speed.
  ++ lib.optionals stdenv.hostPlatform.isx86_64 [ nasm ];

  env = {
    PICTRS_NOTICES = lib.getExe (
      buildPackages.callPackage ./notices.nix {
        inherit (finalAttrs) src version;
        crates = { inherit (finalAttrs) cargoHash; };
      }
    );
  }
  # The crate's build script takes a finished library only when all three are set.
  // lib.optionalAttrs withLibaom {
    LIB_AOM_STATIC_LIB_PATH = "${lib.getOutput "static" libaom}/lib";
    LIB_AOM_INCLUDE_PATH = "${lib.getDev libaom}/include";
    LIB_AOM_PKG_CONFIG_PATH = "${lib.getOutput "static" libaom}/lib";
  };

  # Pages and completions are in the sources, so a cross build has them too. The module makes a
  # program of pict-rs-admin, whose interpreter would be another store path here.
  postInstall = ''
    installManPage contrib/man/*.1
    installShellCompletion contrib/completions/pict-rs.{bash,fish} --zsh contrib/completions/_pict-rs
    install -Dm644 -t $out/share/pict-rs contrib/pict-rs-admin
    $PICTRS_NOTICES ${stdenv.hostPlatform.rust.rustcTarget} ${lib.concatStringsSep "," features} \
      >THIRD-PARTY-NOTICES.txt
    install -Dm644 -t $out/share/doc/pict-rs LICENSE THIRD-PARTY-NOTICES.txt
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  passthru = {
    tests.nixos = nixosTests.pict-rs;
    updateScript = nix-update-script { };
  };

  meta = {
    description = "Self-hosted image server that stores, cleans, serves and transforms pictures";
    longDescription = ''
      Speaks the HTTP API of pict-rs 0.5 and 0.6, as used by Lemmy. Pictures and
      animations are processed inside the binary, without helper programs.
    '';
    homepage = finalAttrs.src.meta.homepage;
    changelog = "${finalAttrs.meta.homepage}/src/tag/${finalAttrs.src.tag}/CHANGELOG.md";
    # The sources are AGPL-3.0-or-later; the JPEG encoder in the binary is AGPL-3.0-only.
    license = lib.licenses.agpl3Only;
    maintainers = [ ];
    mainProgram = "pict-rs";
    platforms = lib.platforms.unix;
    broken = lib.versionOlder rustc.version "1.94";
  };
})
