# What `installShellFiles` defines in nixpkgs, for the arguments that we give.

installManPage() {
  local page
  for page; do install -Dm644 -t "$out/share/man/man${page##*.}" "$page"; done
}

# installShellCompletion [FILE.bash | FILE.fish | --zsh FILE]...
installShellCompletion() {
  local shell=
  while [ $# -gt 0 ]; do
    case ${shell:+--}$shell$1 in
    --zsh) shell=zsh ;;
    --zsh*) install -Dm644 -t "$out/share/zsh/site-functions" "$1" && shell= ;;
    *.bash) install -Dm644 -t "$out/share/bash-completion/completions" "$1" ;;
    *.fish) install -Dm644 -t "$out/share/fish/vendor_completions.d" "$1" ;;
    *) echo "installShellCompletion: cannot tell the shell of $1" >&2; exit 1 ;;
    esac
    shift
  done
}
