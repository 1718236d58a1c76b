# Before the files of the package are there. A failure ends the installation: without its user the
# service cannot run.
set -e
systemd-sysusers --replace=/usr/lib/sysusers.d/pict-rs.conf - <<'END'
u pict-rs - "pict-rs image server" /var/lib/pict-rs -
END
