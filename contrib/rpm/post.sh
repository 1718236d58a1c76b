# $1 is the number of installed versions, this one included. Only the first installation asks the
# presets: an upgrade keeps what the administrator chose.
if [ "$1" -eq 1 ]; then
	systemctl --no-reload preset pict-rs.service || :
fi
