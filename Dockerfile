# One image for the crawler and the consumer. The default command is the consumer's help.
FROM python:3.12-slim AS build
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY estela_wire estela_wire
COPY estela_terminal estela_terminal
COPY estela_queue_adapter estela_queue_adapter
COPY estela_config estela_config
COPY estela_scrapy estela_scrapy
COPY estela_consumer estela_consumer
COPY estela_cli estela_cli
COPY estela_demo estela_demo
RUN python -m venv /opt/estela && /opt/estela/bin/python -m pip install --no-cache-dir .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 estela
COPY --from=build /opt/estela /opt/estela
COPY --chown=estela sample_project /home/estela/sample_project
# What estela's chart runs: `python consumer.py TOPIC`.
COPY --chown=estela consumer.py /home/estela/consumer.py
ENV PATH=/opt/estela/bin:$PATH PYTHONUNBUFFERED=1
USER estela
WORKDIR /home/estela
CMD ["estela-consume", "--help"]
