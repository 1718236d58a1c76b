# $1 is the number of versions that stay: 0 is a removal, 1 is an upgrade.
if [ "$1" -eq 0 ]; then
	systemctl --no-reload disable pict-rs.service || :
	if [ -d /run/systemd/system ]; then
		systemctl stop pict-rs.service || :
	fi
fi
