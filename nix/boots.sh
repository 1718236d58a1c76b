# A static binary boots in an empty environment, under an emulator where the processor is
# another one: healthy, takes a picture, gives a thumbnail, stops when asked to.

if readelf --program-headers "$program" | grep INTERP; then
  echo "$program is not static"
  exit 1
fi

env -i "$emulator" "$program" run --address 127.0.0.1:0 >log 2>&1 &
server=$!
address=
until [ -n "$address" ]; do
  kill -0 $server || { cat log; exit 1; }
  sleep 0.1
  address=$(sed -n 's|.*listening on \(http://[0-9.:]*\).*|\1|p' log)
done

fetch() { curl --silent --show-error --fail "$@"; }
fetch "$address/healthz"
uploaded=$(fetch --form "images[]=@$picture" "$address/image")
alias=$(sed 's|.*"file":"\([^"]*\)".*|\1|' <<<"$uploaded")
fetch --output thumbnail "$address/image/process.webp?src=$alias&thumbnail=32"
grep --quiet WEBP thumbnail

kill $server
wait $server
touch "$out"
