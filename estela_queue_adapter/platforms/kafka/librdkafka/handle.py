"""One client of librdkafka's in use: never closed while somebody is in it, and never by a destructor."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from estela_queue_adapter.errors import QueueError


class Handle:
    """A client that threads and signal handlers share.

    To close one of confluent-kafka's clients frees memory that other threads may be using. So whoever uses it
    says so, and it is closed when nobody does: by `close`, or by the last user if that is the one who closes
    it (a signal handler, a callback). A client that is left open is never freed: that waits for its threads,
    which a forked process does not have.
    """

    def __init__(self, client: Any, gone: Callable[[], QueueError]) -> None:
        self._client = client
        self._gone = gone
        self._changed = threading.Condition()  # guards what follows; may be taken again by a signal handler
        self._users: Counter[int] = Counter()
        self._closing: Callable[[Any], None] | None = None
        self._ours = True

    @contextlib.contextmanager
    def use(self) -> Iterator[Any]:
        """The client, for as long as this lasts. Raises what `gone` makes if it was let go."""
        me = threading.get_ident()
        with self._changed:
            if self._closing is not None or not self._ours:
                raise self._gone()
            self._users[me] += 1
        try:
            yield self._client
        finally:
            self._leave(me)

    def close(self, close: Callable[[Any], None], timeout: float) -> None:
        """Have `close` called as soon as nobody uses the client. Blocks for some `timeout` seconds."""
        me = threading.get_ident()
        with self._changed:
            if self._closing is not None or not self._ours:
                return
            self._closing = close
            if self._users[me]:
                return  # this is called from within a use, whose end closes it
            deadline = time.monotonic() + timeout
            while +self._users and (remaining := deadline - time.monotonic()) > 0:
                self._changed.wait(remaining)
            if +self._users:
                return  # the last of them closes it
            self._users[me] += 1
        self._leave(me, max(0.1, deadline - time.monotonic()))

    def abandon(self) -> None:
        """Touch it no more, and keep it for ever: its threads are in the middle of something, or not ours."""
        if self._ours:
            self._ours = False
            _keep(self._client)

    def _leave(self, me: int, timeout: float = 3.0) -> None:
        with self._changed:
            self._users[me] -= 1
            self._changed.notify_all()
            if +self._users or self._closing is None or not self._ours:
                return
            close, self._ours = self._closing, False
        client = self._client
        thread = threading.Thread(target=close, args=(client,), name="estela-close", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # from Python 3.12 on no thread begins while the interpreter ends
            _keep(client)
            return
        thread.join(timeout)
        if thread.is_alive():
            _keep(client)


def _keep(client: Any) -> None:
    """Have it freed by nobody."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
