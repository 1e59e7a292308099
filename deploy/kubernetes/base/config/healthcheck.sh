#!/bin/bash
# Healthy when every model of models.config has an AVAILABLE version; else the reason, which `docker inspect` shows.
# For an image that has bash and nothing else: bash itself speaks HTTP over /dev/tcp.
port=${1:-8501}
config=${2:-/config/models.config}
[[ -r $config ]] || { echo "cannot read $config"; exit 1; }
shopt -s extglob
found=0
while IFS= read -r line; do
  line=${line%%#*}
  [[ $line =~ ^[[:space:]]*name:[[:space:]]*\"([^\"]+)\" ]] || continue
  model=${BASH_REMATCH[1]} found=1 answer=""
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || { echo "nothing listens on port $port: no model is ready yet"; exit 1; }
  printf 'GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$model" >&3
  while IFS= read -r -t 5 part <&3; do answer+=$part; done
  answer+=$part
  exec 3<&- 3>&-
  [[ $answer == *'"AVAILABLE"'* ]] || { echo "model $model has no AVAILABLE version: ${answer##*$'\r'}"; exit 1; }
done <"$config"
((found)) || { echo "no model in $config"; exit 1; }
