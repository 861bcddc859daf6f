"""How long a group waits for a member that has gone silent, if the brokers do not take what we ask for."""

from __future__ import annotations

_HEARTBEAT = 3.0  # seconds at most; the brokers want three of them in a session
# Seconds. Upwards first: brokers that demand another session mostly demand a longer one.
_OTHERS = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 6.0, 3.0, 1.0)


def other_sessions(timeout: float) -> list[float]:
    """The session timeouts to try, in their order, after brokers have refused `timeout`; seconds."""
    return [other for other in _OTHERS if other != timeout]


def session_options(timeout: float) -> dict[str, int]:
    """A session timeout, and what must fit it, as the client takes them."""
    return {
        "session_timeout_ms": round(timeout * 1000),
        "heartbeat_interval_ms": round(min(_HEARTBEAT, timeout / 3) * 1000),
    }
