# Two images. `docker build .` makes the crawler, which has everything: Scrapy, the extension and every command.
# `docker build --target consumer .` makes the consumer alone, without Scrapy and Twisted.
#
# The base image by its exact version. A digest pins it for good: take it from `docker buildx imagetools inspect
# python:3.12.12-slim-bookworm` and append it here as @sha256:<digest>, or give it with --build-arg PYTHON_IMAGE=...
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

# The tools: pip and setuptools. The images themselves have neither in their environment.
FROM ${PYTHON_IMAGE} AS tools
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt

FROM tools AS wheels
COPY setup.cfg setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY release release
COPY estela_wire estela_wire
COPY estela_terminal estela_terminal
COPY estela_pages estela_pages
COPY estela_queue_adapter estela_queue_adapter
COPY estela_config estela_config
COPY estela_scrapy estela_scrapy
COPY estela_consumer estela_consumer
COPY estela_cli estela_cli
COPY estela_demo estela_demo
RUN /opt/tools/bin/python -m release.consumer /src/consumer \
    && /opt/tools/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /src/wheels /src /src/consumer

FROM tools AS build-consumer
RUN python -m venv --without-pip /opt/estela \
    && /opt/tools/bin/python -m pip --python /opt/estela install --no-cache-dir --require-hashes -r requirements/consumer.txt
COPY --from=wheels /src/wheels wheels
RUN /opt/tools/bin/python -m pip --python /opt/estela install --no-cache-dir --no-deps wheels/estela_consumer-*.whl

FROM tools AS build-crawler
RUN python -m venv --without-pip /opt/estela \
    && /opt/tools/bin/python -m pip --python /opt/estela install --no-cache-dir --require-hashes -r requirements/crawler.txt
COPY --from=wheels /src/wheels wheels
RUN /opt/tools/bin/python -m pip --python /opt/estela install --no-cache-dir --no-deps wheels/estela_scrapy-*.whl

FROM ${PYTHON_IMAGE} AS base
# The folder is for an outbox on a volume: Docker gives a new volume the owner of what it is mounted on.
RUN useradd --create-home --uid 10001 estela \
    && install --directory --owner=10001 --group=10001 /var/lib/estela
# What estela's chart runs: `python consumer.py TOPIC`.
COPY --chown=10001:10001 consumer.py /home/estela/consumer.py
ENV PATH=/opt/estela/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /home/estela
CMD ["estela-consume", "--help"]

FROM base AS consumer
COPY --from=build-consumer /opt/estela /opt/estela
# It asks /livez if ESTELA_LISTEN is set: an outage is no reason to end a consumer. /readyz is for who waits for it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["python", "-m", "estela_pages.healthcheck"]

FROM base AS crawler
COPY --from=build-crawler /opt/estela /opt/estela
