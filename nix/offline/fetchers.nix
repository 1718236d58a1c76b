# Fetchers, as derivations: what a recipe reads of them while it is evaluated is an import from a
# derivation, which `cargo xtask flake` forbids as nixpkgs does. They give what is on this machine.
{
  lib,
  host,
  runCommand,
}:
let
  # `checked hash value` is the value, if nixpkgs would take the hash.
  checked =
    hash:
    lib.throwIf (
      builtins.match "sha256-[A-Za-z0-9+/]{43}=" hash == null
    ) "'${hash}' is no SRI hash of SHA-256";
in
{
  inherit checked;

  # The files of the repository.
  fetchFromGitea =
    {
      domain,
      owner,
      repo,
      tag,
      hash,
    }:
    runCommand "source" {
      files = checked hash (builtins.storePath host.sources);
      passthru = { inherit tag; };
      meta.homepage = "https://${domain}/${owner}/${repo}";
    } "cp -r --no-preserve=mode $files $out";

  # A crate of Cargo.lock.
  fetchCrate =
    {
      pname,
      version,
      hash,
    }:
    runCommand "${pname}-${version}.tar.gz" {
      files = checked hash "${host.vendor}/${pname}-${version}";
      passthru.fetched = {
        inherit pname version hash;
      };
    } "cp -r --no-preserve=mode $files $out";
}
