"""A stream: one kind of message of one job."""

from __future__ import annotations

from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.routing.target import Target
from estela_wire.closing_record import StreamRecord
from estela_wire.envelope import EnvelopeWriter, MetadataWriter
from estela_wire.message_id import IdSource


class Stream:
    """Wraps payloads in envelopes. Everything but id, metadata and payload is the same in each.

    May be called from several threads.
    """

    filtered = 0
    may_filter = False

    def __init__(self, publisher: Publisher, name: str, target: Target) -> None:
        self.name = name
        self.topic = target.topic
        self.failed = 0
        """Payloads that never became a message."""
        self.has_metadata = target.metadata
        self._publisher = publisher
        self._target = target
        self._ids = IdSource()
        self._metadata = MetadataWriter() if target.metadata else None
        self._envelopes = EnvelopeWriter(
            target.jid,
            unique=target.unique,
            names=target.names,
            key=target.key,
            on_existing=target.on_existing,
        )

    @property
    def failures(self) -> int:
        """The same, with those that whoever makes the payloads has counted."""
        return self.failed

    def publish(self, payload: bytes, url: str | None = None) -> None:
        """Hand over a payload that is JSON already, under an id of its own. Never blocks.

        `url` is the page that it comes from, if its metadata are to say so.
        """
        identity = self._ids.next()
        if self._metadata is None:
            message = self._envelopes.write(identity, payload)
        else:
            message = self._envelopes.write(identity, payload, self._metadata.write(url))
        self._publisher.put(self.name, self.topic, message)

    def publish_unless_full(self, payload: bytes) -> None:
        """The same for what cannot wait, and is counted as failed if the buffer is full."""
        if self._publisher.full:
            self.failed += 1
        else:
            self.publish(payload)

    def record(self) -> StreamRecord:
        """The stream's part of the closing record."""
        target = self._target
        return StreamRecord(
            stream=self.name,
            topic=self.topic,
            jid=target.jid,
            db_name=target.db_name,
            dataset_name=target.dataset_name,
            unique=target.unique,
            key=target.key,
            on_existing=target.on_existing,
            published=self._publisher.accepted(self.name),
            failed=self.failures,
            filtered=self.filtered,
            first_id=self._ids.first,
            last_id=self._ids.last,
        )
