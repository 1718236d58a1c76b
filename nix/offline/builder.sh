# The stand-in's builder: nixpkgs' phases over the machine's own tools.
export PATH=$rustToolchain/bin:$initialPath
for input in ${nativeBuildInputs-}; do
  if [ -d "$input/bin" ]; then PATH=$input/bin:$PATH; fi
  if [ -f "$input/nix-support/setup-hook" ]; then . "$input/nix-support/setup-hook"; fi
done
export HOME=$TMPDIR CARGO_HOME=$TMPDIR/cargo SOURCE_DATE_EPOCH=1
umask 022

runHook() { local body=${!1-}; if [ -n "$body" ]; then eval "$body"; fi; }

# wrapProgram PROGRAM [--suffix VARIABLE SEPARATOR VALUE]...
wrapProgram() {
  local program=$1 hidden
  shift
  hidden=$(dirname "$program")/.$(basename "$program")-wrapped
  mv "$program" "$hidden"
  {
    echo '#!/bin/sh'
    while [ $# -gt 0 ]; do
      case $1 in
      --suffix) printf 'export %s=${%s:+$%s%s}%q\n' "$2" "$2" "$2" "$3" "$4"; shift 4 ;;
      *) echo "wrapProgram of the stand-in does not know $1" >&2; exit 1 ;;
      esac
    done
    printf 'exec %q "$@"\n' "$hidden"
  } >"$program"
  chmod +x "$program"
}

unpack() {
  cd "$TMPDIR"
  if [ -z "${src-}" ]; then return; fi
  # The name behind the hash.
  local name=${src##*/}
  name=${name:33}
  cp -r --no-preserve=mode,ownership "$src" "$name"
  cd "${sourceRoot:-$name}"
  if [ -z "${cargoDeps-}" ]; then return; fi
  mkdir -p "$CARGO_HOME/vendor"
  printf '[source.%s]\n%s = "%s"\n' \
    crates-io replace-with vendored vendored directory "$CARGO_HOME/vendor" \
    >"$CARGO_HOME/config.toml"
  ln -s "$cargoDeps"/* "$CARGO_HOME/vendor/"
}

zigProgram() { echo "$zigbuild"/lib/python3*/site-packages/ziglang/zig; }

# What cmake's hook does in nixpkgs, and a compiler for another system as programs of one word.
cmakeConfigure() {
  local cross=() tool
  mkdir -p build && cd build
  if [ -n "${zig-}" ]; then
    export ZIG_GLOBAL_CACHE_DIR=$TMPDIR/zig ZIG_LOCAL_CACHE_DIR=$TMPDIR/zig
    for tool in cc ar ranlib; do
      printf '#!/bin/sh\nexec %q %s "$@"\n' "$(zigProgram)" \
        "$tool$([ $tool != cc ] || echo " $zig -fno-sanitize=undefined")" >"$TMPDIR/zig-$tool"
      chmod +x "$TMPDIR/zig-$tool"
    done
    cross=(-DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=$processor"
      "-DCMAKE_C_COMPILER=$TMPDIR/zig-cc" "-DCMAKE_CXX_COMPILER=$TMPDIR/zig-cc"
      "-DCMAKE_AR=$TMPDIR/zig-ar" "-DCMAKE_RANLIB=$TMPDIR/zig-ranlib")
  fi
  cmake "${cmakeDir:-..}" -DCMAKE_BUILD_TYPE=Release $cmakeFlags "${cross[@]}"
}

# cargoRun COMMAND PROFILE FLAGS...
cargoRun() {
  local command=$1 profile=()
  if [ "$2" != debug ]; then profile=(--profile "$2"); fi
  shift 2
  local features=${buildFeatures:+--features=${buildFeatures// /,}}
  echo "cargo $command ${profile[*]} $features $*"
  cargo "$command" "${profile[@]}" $features --offline --target "$cargoTarget" "$@"
}

cargoBuild() {
  runHook preBuild
  if [ -n "$buildStd" ]; then
    # The standard library of a target that is not installed: built from source, linked by zig.
    ln -sf "$buildStd"/vendor/* "$CARGO_HOME/vendor/"
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$buildStd PATH=$zigbuild/bin:$PATH
    export RUSTFLAGS="-Clink-self-contained=no --remap-path-prefix=$NIX_BUILD_TOP=/build --remap-path-prefix=$buildStd=/rustc/library"
    export CARGO_ZIGBUILD_ZIG_PATH=$(zigProgram)
    cargoRun zigbuild "$buildType" -Zbuild-std=std,panic_unwind $cargoBuildFlags
  else
    cargoRun build "$buildType" $cargoBuildFlags
  fi
  runHook postBuild
}

cargoInstall() {
  runHook preInstall
  mkdir -p "$out/bin"
  find "target/$cargoTarget/$buildType" -maxdepth 1 -type f -executable \
    ! -name '*.so' -exec cp -t "$out/bin" {} +
  runHook postInstall
}

versionCheck() { "$out/bin/$mainProgram" --version | grep -F "$version"; }

phase() {
  echo "phase: $1"
  eval "$2"
}

if [ -n "${script-}" ]; then
  cd "$TMPDIR"
  eval "$script"
else
  phase unpack unpack
  build=cargoBuild
  if [ -n "${cmakeFlags-}" ]; then
    phase configure cmakeConfigure
    build='make -j "$(nproc)" $buildFlags'
  fi
  phase build "${buildPhase:-$build}"
  if [ -n "$doCheck" ]; then phase check 'cargoRun test "$checkType" $cargoTestFlags'; fi
  phase install "${installPhase:-cargoInstall}"
  if [ -n "$doInstallCheck" ]; then phase installCheck versionCheck; fi
fi
[ -e "$out" ] || { echo "nothing was installed" >&2; exit 1; }
# Nix kills a builder whose output pipe closes before it has exited; this holds the pipe open
# past our own exit.
sleep 0.1 &
exit 0
