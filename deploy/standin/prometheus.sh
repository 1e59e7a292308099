#!/usr/bin/env bash
# In the place of prom/prometheus on a machine that can pull none: the programs of Debian's Prometheus, which is older,
# where the real image has them, as the real image's user, and little beside them.
#   deploy/standin/prometheus.sh IMAGE
set -euo pipefail
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mmdebstrap --quiet --variant=extract --include=prometheus --dpkgopt='path-exclude=/usr/share/*' \
  --extract-hook='mkdir -p "$1/bin" && mv "$1/usr/bin/prometheus" "$1/usr/bin/promtool" "$1/bin/"' \
  --extract-hook='mkdir "$1/prometheus" && chown 65534:65534 "$1/prometheus"' \
  "$release" |
  docker import --change 'USER 65534:65534' --change 'WORKDIR /prometheus' --change 'VOLUME /prometheus' \
    --change 'ENTRYPOINT ["/bin/prometheus"]' --change 'EXPOSE 9090' - "$1" >/dev/null
echo "stand-in image: $1"
