# The studio as one container; its history and what it fetches are in /data.
#
#   docker build -t cdvft-studio .
#   docker run --init -p 127.0.0.1:7860:7860 -v studio:/data --stop-timeout 60 cdvft-studio
#
# It counts as a public server; for oneself alone add `-e CDVFT_PUBLIC=0`, for others `-e CDVFT_HOSTS=their.name.for.it`.

FROM python:3.11-slim

# A checkout has no wheel's kernel: it is compiled on first use.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home studio && mkdir /data && chown studio /data

WORKDIR /studio
COPY requirements.lock requirements-torch.txt ./
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock \
    && pip install --no-cache-dir -r requirements-torch.txt
COPY . .

USER studio
ENV RUNS_DIR=/data/runs CDVFT_CACHE=/data/cache XDG_CACHE_HOME=/data/cache HF_HOME=/data/hub
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
VOLUME /data
EXPOSE 7860
# As Ctrl-C: what trains keeps a checkpoint and its adapter.
STOPSIGNAL SIGINT
HEALTHCHECK --start-period=60s CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/readyz', timeout=5)"
CMD ["python", "app.py"]
