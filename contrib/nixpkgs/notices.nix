# The program that writes the notices of third parties for a package of pict-rs. It runs where the
# package is built, and asks cargo, whose crates are there: it needs no network.
{
  lib,
  rustPlatform,
  # Those of the package.
  src,
  version,
  # `cargoLock` or `cargoHash` of the package.
  crates,
}:

rustPlatform.buildRustPackage (
  {
    pname = "pict-rs-notices";
    inherit src version;

    cargoBuildFlags = [ "--package=notices" ];
    # They are run with those of the package.
    doCheck = false;

    strictDeps = true;

    meta = {
      description = "Writes the notices that the licences of others ask for";
      license = lib.licenses.agpl3Plus;
      mainProgram = "notices";
    };
  }
  // crates
)
