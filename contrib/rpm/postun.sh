# As before the removal: 1 is an upgrade, whose new files are there by now.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	if [ "$1" -ge 1 ]; then
		systemctl try-restart pict-rs.service || :
	fi
fi
