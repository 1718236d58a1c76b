# Shows that a package outside `pkgsStatic` is linked dynamically, whatever its C library is: the
# reason why the static packages come from there.
pkgs: name: package:
pkgs.runCommand "pict-rs-${name}-linkage"
  {
    nativeBuildInputs = [ pkgs.binutils ];
    program = pkgs.lib.getExe package;
    passthru = { inherit package; };
  }
  ''
    loader=$(readelf --program-headers "$program" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
    if [ -z "$loader" ]; then
      echo "$program is static: a static package could come from this set"
      exit 1
    fi
    echo "dynamically linked, interpreter $loader" >$out
  ''
