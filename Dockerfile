# The one image that every service runs from. Compose says which service, with which settings.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY pyproject.toml requirements.lock README.md ./
COPY common common
RUN pip install --constraint requirements.lock .
COPY sync-rest sync-rest

# A named volume takes over the owner of the folder that it covers.
RUN useradd --create-home campus && mkdir /data && chown campus /data
USER campus
