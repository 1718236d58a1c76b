# `services.pict-rs` of NixOS, in the place of nixpkgs' module of that name.
{
  imports = [ ../contrib/nixpkgs/module.nix ];
  disabledModules = [ "services/web-apps/pict-rs.nix" ];
}
