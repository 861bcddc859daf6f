"""Messages that cannot be stored, put aside on the same queue with their reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial

from estela_consumer.chunks import BadLetter
from estela_consumer.origin import PREFIX, header_texts, origin_of, own_headers
from estela_queue_adapter import Producer
from estela_queue_adapter.errors import DeliveryError, MessageRejected, QueueError
from estela_queue_adapter.interfaces import Headers

SUFFIX = "_dead_letters"

_CONFIRM_TIMEOUT = 30.0  # seconds for the queue to confirm a batch's letters
_KEPT_OF_TOO_LARGE = 64 * 1024  # bytes of a message that does not fit beside its headers

logger = logging.getLogger(__name__)


def dead_letter_topic(topic: str) -> str:
    """Where the dead letters of `topic` go."""
    return f"{topic}{SUFFIX}"


def letter_headers(letter: BadLetter, now: datetime) -> Headers:
    """Why the message is here and where it was; its own headers follow."""
    message, error = letter
    told = {
        "reason": error.reason.value,
        "error": str(error),
        "time": now.isoformat(timespec="milliseconds"),
        "replays": header_texts(message.headers).get("replays", "0"),
    }
    headers = [(PREFIX + name, text.encode(errors="replace")) for name, text in told.items()]
    headers += origin_of(message).headers()
    if message.key is not None:
        headers.append((f"{PREFIX}key", message.key))
    return [*headers, *own_headers(message.headers)]


class LettersUndelivered(DeliveryError):
    """Some dead letters are not confirmed: `letters`."""

    def __init__(self, letters: Sequence[BadLetter], first: QueueError) -> None:
        super().__init__(len(letters), f"dead letters: {first}")
        self.letters = letters


class DeadLetters:
    """Publishes dead letters; `publish` may be called from several threads."""

    def __init__(
        self, producer: Producer, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    ) -> None:
        self._producer = producer
        self._now = now

    def publish(self, letters: Sequence[BadLetter]) -> None:
        """Block until the queue has confirmed every letter.

        Raises LettersUndelivered, which names those to publish again (copies of a letter share its key), or
        another QueueError when none was taken. A message that the queue refuses with its headers on is cut
        short and says so; the original stays where the headers say.
        """
        outcomes = self._send(letters, cut=False)
        refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, MessageRejected)]
        if refused:
            logger.error("%d dead letter(s) too large for the queue are cut short.", len(refused))
            again = self._send([letters[number] for number in refused], cut=True)
            for number, outcome in zip(refused, again, strict=True):
                outcomes[number] = outcome
        failed = {letter: outcome for letter, outcome in zip(letters, outcomes, strict=True) if outcome}
        if failed:
            raise LettersUndelivered(list(failed), next(iter(failed.values())))

    def _send(self, letters: Sequence[BadLetter], *, cut: bool) -> list[QueueError | None]:
        outcomes: list[QueueError | None] = [DeliveryError(1, "no answer")] * len(letters)
        for number, letter in enumerate(letters):
            message, headers = letter.message, list(letter_headers(letter, self._now()))
            data = message.data or b""
            if cut:
                headers.append((f"{PREFIX}truncated", str(len(data)).encode()))
                data = data[:_KEPT_OF_TOO_LARGE]
            try:
                self._producer.send(
                    dead_letter_topic(message.topic),
                    data,
                    key=origin_of(message).key,
                    headers=headers,
                    on_delivery=partial(outcomes.__setitem__, number),
                )
            except MessageRejected as error:
                outcomes[number] = error
        try:
            self._producer.flush(_CONFIRM_TIMEOUT)
        except DeliveryError as error:
            # The flush speaks for every thread's letters; what became of these is in `outcomes`.
            logger.debug("flush of dead letters: %s", error)
        return outcomes
