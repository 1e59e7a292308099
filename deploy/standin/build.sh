#!/usr/bin/env bash
# Build the stand-in images on a machine that can pull none: Debian packages from the machine's own sources.
#   deploy/standin/build.sh SERVING_IMAGE JOBS_IMAGE [docker or podman]
set -euo pipefail
serving=$1 jobs=$2 tool=${3:-docker}
here=$(cd "$(dirname "$0")" && pwd)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
packages=python3,libstdc++6,libgomp1,libffi8,libexpat1,zlib1g,libssl3,bash,dash,coreutils,util-linux,sed,grep,base-files,ca-certificates
mmdebstrap --quiet --variant=extract --include="$packages" "$release" "$context/base.tar"
$tool import "$context/base.tar" modelport-standin-base >/dev/null
rm "$context/base.tar"
cp "$here"/{Dockerfile,tf_serving_entrypoint.sh,tensorflow_model_server,modelport} "$here/../../docs/seven.png" "$context"
export DOCKER_BUILDKIT=0 # BuildKit asks a registry even for what is here
$tool build --quiet --network none --target serving --tag "$serving" "$context" >/dev/null
$tool build --quiet --network none --target jobs --tag "$jobs" "$context" >/dev/null
echo "stand-in images: $serving, $jobs"
