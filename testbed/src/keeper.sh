# Outlives the test: waits until its input ends, which it does however the test ends, and
# then leaves nothing behind. Run as: sh -c THIS sh FOLDER, with orders on the input.
trap '' INT TERM HUP QUIT
dir=$1
group=
undo=
logs=
while read -r word rest; do
  case $word in
    group) group=$rest ;;
    undo) undo="$rest
$undo" ;;
    logs) logs=yes ;;
    clean) logs= ;;
    release) exit 0 ;;
  esac
done
if [ -n "$group" ]; then
  kill -s KILL -- "-$group" 2>/dev/null
  tries=0
  while kill -s 0 -- "-$group" 2>/dev/null && [ "$tries" -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
eval "$undo"
tries=0
while [ "$tries" -lt 50 ]; do
  if [ -n "$logs" ]; then
    rm -rf "$dir"/node*/data && break
  else
    rm -rf "$dir" && break
  fi
  sleep 0.1
  tries=$((tries + 1))
done
