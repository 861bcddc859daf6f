"""How long a group waits for a member that has gone silent, if the brokers do not take what we ask for."""

from __future__ import annotations

_HEARTBEAT = 3.0  # seconds at most; the brokers want three of them in a session
# Seconds. Upwards first: brokers that demand another session mostly demand a longer one.
_OTHERS = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 6.0, 3.0, 1.0)


class SessionTimeout:
    """The session timeout of one consumer: what the settings say, and others if the brokers refuse it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._others = [other for other in _OTHERS if other != seconds]

    def try_another(self) -> bool:
        """Go on to the next one; False if all were refused."""
        if not self._others:
            return False
        self.seconds = self._others.pop(0)
        return True

    def options(self) -> dict[str, int]:
        """It, and what must fit it, as the client takes them."""
        return {
            "session_timeout_ms": round(self.seconds * 1000),
            "heartbeat_interval_ms": round(min(_HEARTBEAT, self.seconds / 3) * 1000),
        }
