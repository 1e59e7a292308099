#!/usr/bin/env bash
# In the place of python:3.11-slim, as the base of our own Dockerfile on a machine that can pull none: Debian's Python.
#   deploy/standin/python.sh IMAGE
# Unlike the images of build.sh it can install packages, so it knows the certificates that this machine trusts.
set -euo pipefail
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages=python3,python3-venv,python3-pip,python-is-python3,libstdc++6,libgomp1,bash,dash,coreutils,findutils,util-linux,sed,grep,base-files,base-passwd
mmdebstrap --quiet --variant=extract --include="$packages" \
  --extract-hook='cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"' \
  --extract-hook='cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"' \
  --extract-hook='mkdir -p "$1/etc/ssl/certs" && cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"' \
  "$release" | docker import - "$1" >/dev/null
echo "stand-in image: $1"
