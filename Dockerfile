# The image of our own jobs: training, publishing, querying.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY modelport modelport
COPY training training
COPY export export
COPY serving serving
COPY client client
RUN python -m venv /opt/modelport \
 && PIP_CONSTRAINT=constraints.txt /opt/modelport/bin/pip install --no-cache-dir '.[training]'

FROM python:3.11-slim
COPY --from=build /opt/modelport /opt/modelport
COPY docs/seven.png /opt/modelport/seven.png
ENV PATH=/opt/modelport/bin:$PATH
ENTRYPOINT ["modelport"]
