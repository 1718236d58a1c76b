# The bare binary: the one recipe for native and static builds. In `pkgsStatic` it gives a
# static executable. It needs no program at run time; `pict-rs.nix` adds the optional ones. What
# nixpkgs would have in its place is contrib/nixpkgs/package.nix; a check says what may differ.
{
  lib,
  stdenv,
  rustPlatform,
  rustc,
  installShellFiles,
  nasm,
  versionCheckHook,
  callPackage,
  buildPackages,
  # Without it AVIF is written by rav1e, which takes many times as long, and no cmake is needed.
  withLibaom ? true,
}:

let
  manifest = (lib.importTOML ./Cargo.toml).workspace.package;
  inherit (manifest) version;
  libaom = callPackage ./nix/libaom.nix { };
  features = lib.optionals withLibaom [ "pict-rs/libaom" ];

  # Only what the build reads, so that a change of the docs rebuilds nothing.
  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.toml
      ./Cargo.lock
      ./LICENSE
      ./crates
      ./xtask
      ./tests
      ./contrib
      ./docs/errors.md
      ./pict-rs.toml
      ./libaom.toml
      ./targets.toml
    ];
  };
  crates.cargoLock.lockFile = ./Cargo.lock;

  # Runs on the machine that builds.
  notices = buildPackages.callPackage ./contrib/nixpkgs/notices.nix { inherit src version crates; };
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = "pict-rs-unwrapped";
  inherit src version;
  inherit (crates) cargoLock;
  cargoBuildFlags = [ "--package=pict-rs" ];
  buildFeatures = features;
  # The integration tests start servers; they run in the flake's checks, not at each build.
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
    PICTRS_NOTICES = lib.getExe notices;
  }
  # The crate's build script takes a finished library only when all three are set.
  // lib.optionalAttrs withLibaom {
    LIB_AOM_STATIC_LIB_PATH = "${lib.getOutput "static" libaom}/lib";
    LIB_AOM_INCLUDE_PATH = "${lib.getDev libaom}/include";
    LIB_AOM_PKG_CONFIG_PATH = "${lib.getOutput "static" libaom}/lib";
  };

  # Pages and completions are made from the command line and lie in the sources, so that a cross
  # build has them too. The module makes a program of pict-rs-admin, whose interpreter would be
  # another store path here.
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

  meta = {
    description = "Self-hosted image server that stores, cleans, serves and transforms pictures";
    longDescription = ''
      Speaks the HTTP API of pict-rs 0.5 and 0.6, as used by Lemmy. Pictures and
      animations are processed inside the binary, without helper programs.
    '';
    # The sources are AGPL-3.0-or-later; four codecs in the binary are AGPL-3.0-only.
    license = lib.licenses.agpl3Only;
    mainProgram = "pict-rs";
    platforms = lib.platforms.unix;
    broken = lib.versionOlder rustc.version manifest.rust-version;
  }
  // lib.optionalAttrs (manifest ? homepage) { inherit (manifest) homepage; };
})
