FROM python:3.12-slim

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY saga_celery ./saga_celery
RUN pip install --no-cache-dir '.[postgres,flower,cli]'
COPY workers ./workers

RUN useradd --create-home saga
USER saga
