#!/bin/sh
# Runs 'hypersearch worker ARGUMENTS', and ends with 143 where it was told to end before the work
# was done: whoever schedules it then starts another one, which a 0 would tell it not to do.
told=0
hypersearch worker "$@" &
worker=$!
trap 'told=1; kill -TERM "$worker" 2>/dev/null' TERM INT
wait "$worker"
code=$?
# A signal ends the waiting, not the worker: it hands its trial back first.
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  code=$?
done
if [ "$told" = 1 ] && [ "$code" = 0 ]; then
  exit 143
fi
exit "$code"
