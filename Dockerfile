# mien serve, without PyTorch, as a user who may write to /data alone.
# For a graphics card:  docker build --build-arg GPU=1 -t mien:gpu .
#                       docker run --gpus all -p 127.0.0.1:8000:8000 mien:gpu --device cuda
FROM python:3.12-slim AS build
ARG GPU=
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /opt/mien && /opt/mien/bin/pip install --no-cache-dir '.[serve]'
RUN if [ -n "$GPU" ]; then \
    /opt/mien/bin/pip uninstall --yes onnxruntime \
    && /opt/mien/bin/pip install --no-cache-dir 'onnxruntime-gpu[cuda,cudnn]>=1.22,<2'; fi

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin mien \
    && install -d -o mien -m 700 /data /data/jobs
COPY --from=build /opt/mien /opt/mien
ENV PATH=/opt/mien/bin:$PATH MIEN_HOME=/data PYTHONDONTWRITEBYTECODE=1 \
    MIEN_SERVE_HOST=0.0.0.0 MIEN_SERVE_JOBS=/data/jobs MIEN_SERVE_ALLOW_HOST=localhost
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "from urllib.request import urlopen as ask; ask('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["mien", "serve"]
