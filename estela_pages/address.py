"""Where a server listens, and by which names it may be called."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_FORM = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>\d{1,5})")
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:\s]*))(?::\d{1,5})?")
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})
_PROXIED = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


class ListenError(Exception):
    """It cannot be listened there; the message names the option, and says why."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and a port of ours."""

    host: str
    """Empty: every address of this machine."""
    port: int
    """0: one that is free."""
    names: frozenset[str] = frozenset()
    """Names, beside the addresses, by which requests may call us; in lower case."""

    @classmethod
    def parse(cls, text: str, names: str = "") -> ListenAddress:
        """From `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, and names with commas between. Raises ListenError."""
        found = _FORM.fullmatch(text.strip())
        if found is None or int(found["port"]) > 65_535:
            raise ListenError(f"--listen {text!r} is no address: give HOST:PORT, such as 127.0.0.1:8080")
        given = frozenset(name.strip().lower() for name in names.split(",") if name.strip())
        for name in given:
            if not _PROXIED.fullmatch(name):
                raise ListenError(f"--listen-names: {name!r} is not the name of a host")
        return cls(found["v6"] or found["host"] or "", int(found["port"]), given)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def may_be_called(self, host: str) -> bool:
        """Whether a request's Host may be answered: an address, localhost, or a name of ours.

        A page of somebody else's, whose name was made to lead here, sends that name, and is not answered. An
        address cannot be made to do so.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["v6"] or found["host"] or "").lower()
        if name in _LOCAL_NAMES or name in self.names or (name and name == self.host.lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
