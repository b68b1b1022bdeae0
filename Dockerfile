# The one image that every service runs from. Compose says which service, with which settings.
FROM python:3.12-slim

# What a service needs, and nothing that only the laboratory or the tests need.
WORKDIR /app
COPY pyproject.toml requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > needed.txt && \
    pip install --no-cache-dir --disable-pip-version-check --constraint requirements.lock --requirement needed.txt

# A named volume takes over the owner of the folder that it covers.
RUN useradd --create-home campus && mkdir /data && chown campus /data

COPY common common
COPY sync-rest sync-rest
COPY async-rabbitmq async-rabbitmq
COPY streaming-kafka streaming-kafka
ENV PYTHONPATH=/app/common PYTHONUNBUFFERED=1
USER campus
