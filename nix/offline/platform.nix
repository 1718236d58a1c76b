# What nixpkgs says of a platform, from its triple.
lib: triple:
let
  parts = builtins.match "([^-]+)-([^-]+)-(.+)" triple;
  cpu = lib.elemAt parts 0;
  rest = lib.elemAt parts 2;
  isDarwin = lib.hasPrefix "darwin" rest;
  # Processors that rustc calls by another name.
  rustCpu =
    {
      armv7l = "armv7";
      riscv64 = "riscv64gc";
    }
    .${cpu} or cpu;
  rustc = if isDarwin then "${rustCpu}-apple-darwin" else "${rustCpu}-unknown-${rest}";
  kernel = if isDarwin then "darwin" else "linux";

  platform = {
    config = triple;
    system = "${cpu}-${kernel}";
    inherit isDarwin;
    isLinux = !isDarwin;
    isMusl = lib.hasInfix "musl" rest;
    isStatic = false;
    isx86_64 = cpu == "x86_64";
    isAarch64 = cpu == "aarch64";
    isAarch32 = lib.hasPrefix "arm" cpu;
    parsed.cpu.name = cpu;
    # What zig is told, to be the C compiler of a static set; as `cargo xtask dist` tells it.
    zig =
      if platform.isAarch32 then
        "-target arm-linux-musleabihf -mcpu=generic+v7a+vfp3d16-neon-d32"
      else
        "-target ${cpu}-linux-musl";
    rust.rustcTarget = rustc;
    rust.rustcTargetSpec = rustc;
    # A processor runs its own programs whatever C library they are linked with.
    canExecute = other: other.system == platform.system;
    emulator =
      pkgs:
      if pkgs.stdenv.hostPlatform.canExecute platform then
        lib.getExe (pkgs.writeShellScriptBin "exec" ''exec "$@"'')
      else if pkgs.stdenv.hostPlatform.isLinux && platform.isLinux then
        "${pkgs.qemu-user}/bin/qemu-${if platform.isAarch32 then "arm" else cpu}"
      else
        throw "Don't know how to run ${triple} executables.";
  };
in
platform
