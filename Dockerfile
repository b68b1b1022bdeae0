# The one image that every service runs from. Compose says which service, with which settings.
FROM python:3.12-slim AS packages

# gunicorn_h1c comes as source; its compiler stays behind in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev

# What a service needs, and nothing that only the laboratory or the tests need.
WORKDIR /build
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needed.txt
RUN python -m venv /venv && \
    /venv/bin/pip install --no-cache-dir --disable-pip-version-check --constraint requirements.lock --requirement needed.txt

FROM python:3.12-slim

# A named volume takes over the owner of the folder that it covers.
RUN useradd --create-home campus && mkdir /data && chown campus /data

COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app/common PYTHONUNBUFFERED=1
WORKDIR /app
COPY common common
COPY sync-rest sync-rest
USER campus
