# The one image of all services. docker-compose.yml says which of them a container runs, and with which settings.

# What the services need, with the versions of requirements.lock, and nothing that only the laboratory or the tests need.
# A stage of its own: another line of pyproject.toml gives the same list, so the packages are not installed again.
FROM python:3.12-slim AS packages
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > needed.txt && \
    pip install --quiet --disable-pip-version-check --root-user-action ignore --dry-run --ignore-installed \
        --report report.json --constraint requirements.lock --requirement needed.txt && \
    python -c "import json; print(*sorted(f\"{p['metadata']['name']}=={p['metadata']['version']}\" for p in json.load(open('report.json'))['install']), sep='\n')" \
        > packages.txt

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Communication Models Lab" \
      org.opencontainers.image.description="The services of sync-rest, async-rabbitmq and streaming-kafka" \
      org.opencontainers.image.licenses=MIT
# A named volume takes over the owner of the folder that it covers; a fixed number, so that the next image can write it, too.
RUN useradd --uid 1000 --create-home campus && mkdir /data && chown campus /data
COPY --from=packages packages.txt /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore --requirement /tmp/packages.txt

WORKDIR /app
COPY common common
COPY sync-rest sync-rest
COPY async-rabbitmq async-rabbitmq
COPY streaming-kafka streaming-kafka
# Readable for `campus` whatever the umask of the clone; compiled here, as the container cannot write it.
RUN chmod -R a+rX /app && python -m compileall -q /app
ENV PYTHONPATH=/app/common PYTHONUNBUFFERED=1
USER campus
