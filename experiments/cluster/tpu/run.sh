#!/usr/bin/env bash
# One run on all hosts of a TPU slice, started again whenever it was told to
# stop (status 75) by anything but you:
#   TPU_NAME=my-slice ZONE=us-central2-b experiments/cluster/tpu/run.sh \
#     --config configs/vonmises.py --workdir /mnt/runs/vonmises
# Ctrl-C here saves the run and ends it, resumable, with status 75.
set -euo pipefail

: "${TPU_NAME:?the name of the slice}" "${ZONE:?its zone}"
# The checkout on every host, below the home folder, with its environment.
: "${ROTJAX_DIR:=rotjax}"

on_all_hosts() {
  gcloud compute tpus tpu-vm ssh "$TPU_NAME" --zone="$ZONE" --worker=all \
    --command="$1"
}

folder=$(printf '%q' "$ROTJAX_DIR")
arguments=$(printf '%q ' "$@")
# ssh without a terminal passes no signal on: the run is told by its number,
# which is the shell's own, because of exec.
start="cd $folder && . .venv/bin/activate && echo \$\$ > rotjax.pid \
&& exec python -m rotjax.main $arguments"

told=
stop() {
  told=1
  on_all_hosts "kill -TERM \"\$(cat $folder/rotjax.pid)\"" || true
}
trap stop INT TERM
while true; do
  status=0
  # In the background, so that a signal is handled at once.
  on_all_hosts "$start" &
  wait "$!" || status=$?
  if [ -n "$told" ]; then
    status=0
    wait "$!" || status=$?
    exit "$status"
  fi
  if [ "$status" -ne 75 ]; then
    exit "$status"
  fi
done
