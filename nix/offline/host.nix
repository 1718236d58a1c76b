# Where the machine keeps its tools and the vendored crates; `cargo xtask flake` writes over
# this in a copy of the folder.
{
  path = "/usr/bin:/bin";
  rustToolchain = "/usr";
  # Part of every build, so that another compiler at the same place builds anew.
  rustVersion = "";
  vendor = "";
  # The files of the repository, for recipes that fetch them.
  sources = "";
  # For static targets: rust-src's library folder, and a venv with cargo-zigbuild and zig.
  rustSrc = "";
  zigbuild = "";
}
