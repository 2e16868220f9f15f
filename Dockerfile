# The same steps as `make install`: hash-checked dependencies, then the project itself, editable, in /app.
FROM python:3.13-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PATH=/app/.venv/bin:$PATH
WORKDIR /app


FROM base AS builder
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv .venv
# Dependencies first: this layer is reused for as long as requirements.txt is the same.
COPY requirements.txt ./
RUN .venv/bin/python -m pip install --quiet --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE wsgi.py ./
COPY migrations ./migrations
COPY data_resource_api ./data_resource_api
RUN .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
# The running service cannot write here, so what Python would cache is made now.
RUN .venv/bin/python -m compileall -q data_resource_api migrations wsgi.py


FROM base
ENV PYTHONDONTWRITEBYTECODE=1
# Fixed numbers, so that a volume's owner is known outside the container too.
RUN groupadd --gid 10001 drg \
    && useradd --uid 10001 --gid drg --no-create-home --home-dir /app --shell /usr/sbin/nologin drg \
    && install --directory --owner drg --group drg --mode 0750 static var
COPY --from=builder /app /app
USER 10001:10001
# static: the stored payload and swagger.json. var: the embedded database, where it is used.
VOLUME ["/app/static", "/app/var"]
EXPOSE 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8081/-/health', timeout=2)"]
CMD ["drg", "serve", "--host", "0.0.0.0", "--port", "8081"]
