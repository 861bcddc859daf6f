"""Messages that cannot be stored, put aside on the same queue with their reason."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from functools import partial

from estela_consumer.dead_letters.cutting import Parts, cut
from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_queue_adapter import Message, Producer, Unreadable
from estela_queue_adapter.errors import DeliveryError, MessageRejected, QueueError, TopicMissing
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.topic_names import MAX_LENGTH
from estela_wire import headers as names
from estela_wire.headers import escaped, origin_of, own_headers, replays_of
from estela_wire.topics import DEAD_LETTERS_SUFFIX, dead_letter_topic

_CONFIRM_TIMEOUT = 30.0  # seconds for the queue to confirm a batch's letters
_ERROR_CHARACTERS = 2_000  # of what the store says
_FEWEST_ERROR_CHARACTERS = 100
_DIGEST = 16  # hex digits of a message's content in its letter's key
# Bytes of a message in a letter, tried one after the other until the queue takes it.
_BUDGETS = (None, 512 * 1024, 64 * 1024, 8 * 1024, 1024, 0)

logger = logging.getLogger(__name__)


def warn_of_shortened(topics: Iterable[str]) -> None:
    """Log which dead-letter topics have another name than one would look for."""
    for topic in topics:
        if (shortened := dead_letter_topic(topic)) != f"{topic}{DEAD_LETTERS_SUFFIX}":
            logger.warning(
                "Dead letters of %s go to %s: with %s its name would be over %d characters.",
                topic, shortened, DEAD_LETTERS_SUFFIX, MAX_LENGTH,
            )  # fmt: skip


def letter_key(message: Message) -> bytes:
    """The key of a message's letter: the same for each copy of the message, and for no other message."""
    origin = origin_of(message)
    content = hashlib.sha256(repr(message.key).encode() + b"\0" + (message.data or b"")).hexdigest()[:_DIGEST]
    return f"{origin.topic}:{origin.partition}:{origin.offset}:{content}".encode(errors="replace")


def letter_headers(rejected: RejectedMessage, parts: Parts, now: datetime, error_characters: int) -> Headers:
    """Why the message is here, where it was, and what was cut; its own headers follow."""
    message, error = rejected
    text = str(error)
    values = {
        names.REASON: error.reason.value,
        names.ERROR: text if len(text) <= error_characters else f"{text[:error_characters]}...",
        names.TIME: now.isoformat(timespec="milliseconds"),
        names.REPLAYS: replays_of(message),
        names.TRUNCATED: parts.truncated,
        names.TRUNCATED_KEY: parts.truncated_key,
        names.TRUNCATED_HEADERS: parts.truncated_headers,
        names.UNREADABLE_FROM: message.data.first if isinstance(message.data, Unreadable) else None,
    }
    headers: list[tuple[str, bytes | None]] = [
        (name, str(value).encode(errors="replace")) for name, value in values.items() if value is not None
    ]
    headers += origin_of(message).headers()
    if parts.key is not None:
        headers.append((names.KEY, parts.key))
    return [*headers, *parts.headers]


class DeadLettersUndelivered(DeliveryError):
    """The queue did not confirm some dead letters: those of `rejected`."""

    def __init__(self, rejected: Sequence[RejectedMessage], first: QueueError) -> None:
        super().__init__(len(rejected), f"dead letters: {first}")
        self.rejected = rejected


class DeadLetterTopicMissing(QueueError):
    """The topic of the dead letters does not exist, and the queue does not create it."""

    def __init__(self, topic: str, error: QueueError) -> None:
        super().__init__(
            f"the dead-letter topic {topic} does not exist, and the queue does not create it at its first "
            f"use ({error}): auto.create.topics.enable may be off, the login may lack Create, or a topic may "
            "have the same name but for '.' and '_'. Create it; until then nothing behind the rejected "
            "messages is committed"
        )


class DeadLetterPublisher:
    """Publishes dead letters. `publish` may be called from several threads at once."""

    def __init__(
        self, producer: Producer, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    ) -> None:
        self._producer = producer
        self._now = now

    def publish(self, rejected: Sequence[RejectedMessage]) -> None:
        """Block until the queue has confirmed every letter.

        Raises DeadLettersUndelivered, which names those to publish again (copies of a letter share its key),
        or another QueueError if the queue took none. A letter that the queue refuses is cut, further each
        time, and says what was cut; the original stays where the headers say.
        """
        outcomes: list[QueueError | None] = [DeliveryError(1, "no answer")] * len(rejected)
        refused, cut_short = list(range(len(rejected))), 0
        for budget in _BUDGETS:
            results = self._send([rejected[number] for number in refused], budget)
            for number, result in zip(refused, results, strict=True):
                outcomes[number] = result
            refused = [number for number in refused if isinstance(outcomes[number], MessageRejected)]
            if not refused:
                break
            cut_short = len(refused) if budget is None else cut_short
        if cut_short > len(refused):
            logger.error(
                "%d dead letter(s) were too large for the queue and were cut. The whole messages stay "
                "where their headers say, until retention removes them.",
                cut_short - len(refused),
            )
        failed = [
            (message, outcome)
            for message, outcome in zip(rejected, outcomes, strict=True)
            if outcome is not None
        ]
        if failed:
            first, outcome = failed[0]
            if isinstance(outcome, TopicMissing):  # deleted just now
                outcome = DeadLetterTopicMissing(dead_letter_topic(first.message.topic), outcome)
            raise DeadLettersUndelivered([message for message, _ in failed], outcome) from outcome

    def _send(self, rejected: Sequence[RejectedMessage], budget: int | None) -> list[QueueError | None]:
        outcomes: list[QueueError | None] = [DeliveryError(1, "no answer")] * len(rejected)
        for number, message in enumerate(rejected):
            try:
                self._send_one(message, budget, partial(outcomes.__setitem__, number))
            except MessageRejected as error:
                outcomes[number] = error
        try:
            self._producer.flush(_CONFIRM_TIMEOUT)
        except DeliveryError as error:
            # The flush speaks for every thread's letters; what became of these is in `outcomes`.
            logger.debug("Dead letters are not all confirmed: %s", error)
        return list(outcomes)

    def _send_one(
        self, rejected: RejectedMessage, budget: int | None, on_delivery: Callable[[QueueError | None], None]
    ) -> None:
        message = rejected.message
        # `bytes` of what is unreadable; a tombstone, which no writer makes a letter of, would settle one.
        parts = Parts(bytes(message.data or b""), message.key, escaped(own_headers(message)))
        error_characters = _ERROR_CHARACTERS
        if budget is not None:
            parts = cut(parts, budget)
            error_characters = max(_FEWEST_ERROR_CHARACTERS, min(budget, _ERROR_CHARACTERS))
        topic = dead_letter_topic(message.topic)
        try:
            self._producer.send(
                topic,
                parts.data,
                key=letter_key(message),
                headers=letter_headers(rejected, parts, self._now(), error_characters),
                on_delivery=on_delivery,
            )
        except TopicMissing as error:
            raise DeadLetterTopicMissing(topic, error) from error
