# The image of our own jobs: training, publishing, querying, and the embedded server. For amd64 and arm64.
#
# The same inputs give the same files: the base by its version, or by its digest where your policy asks for one,
#   docker build --build-arg BASE=python@sha256:… --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) .
# the packages by constraints.txt, wheels only, every file with one date.
ARG BASE=python:3.11.15-slim-bookworm

# What does not change with our code: more than a gigabyte that is built, pushed and pulled once. pip works from outside
# on an environment that has none; in `.` there is nothing yet but its requirements. What serves only those who build on
# TensorFlow and Arrow (headers and sources, libclang) and the packages' own tests go: 400 MB. Byte code is made here because
# a container cannot keep it and TensorFlow starts in a third of the time with it; it is never checked against the sources,
# because that would be by their dates.
FROM ${BASE} AS packages
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
COPY pyproject.toml constraints.txt ./
RUN export PIP_PYTHON=/opt/modelport/bin/python PIP_CONSTRAINT=constraints.txt PIP_ONLY_BINARY=:all: PIP_NO_CACHE_DIR=1 \
 && touch README.md LICENSE \
 && python -m venv --without-pip /opt/modelport \
 && python -m pip install --no-compile setuptools wheel \
 && python -m pip install --no-compile --no-build-isolation '.[training,load,console]' \
 && rm -r /src/* \
 && cd /opt/modelport/lib/python3.11/site-packages \
 && rm -r tensorflow/include tensorflow/xla_aot_runtime_src clang pyarrow/include \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && /opt/modelport/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
 && find /opt/modelport -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# Our code, installed into a folder of its own to become a layer of its own. It needs no network.
FROM packages AS code
ARG SOURCE_DATE_EPOCH=0
COPY . .
RUN python -m pip --python /opt/modelport/bin/python install --no-cache-dir --no-compile --no-index --no-deps \
      --no-build-isolation --ignore-installed --root /code . \
 && /opt/modelport/bin/python -m compileall -q --invalidation-mode unchecked-hash /code \
 && mv docs/seven.png /code/opt/modelport \
 && find /code -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM packages
WORKDIR /
RUN rmdir /src \
 && echo 'modelport:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'modelport:x:65532:' >>/etc/group
COPY --from=code /code /
# The libraries keep caches at home, which has to be writable for whatever user a container is started as.
ENV PATH=/opt/modelport/bin:$PATH HOME=/tmp
USER 65532:65532
EXPOSE 8500 8501
ENTRYPOINT ["modelport"]
