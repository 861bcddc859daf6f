"""Whether a container's server is well, for images without curl: `python -m estela_pages.healthcheck`."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping, Sequence

from estela_pages.address import ListenAddress, ListenError

HEALTHY, UNHEALTHY = 0, 1  # as Docker has them: these are not the exit codes of our commands
_TIMEOUT = 5.0  # seconds
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_LONGEST = 4000  # characters; Docker keeps 4096


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask PATH, /livez if none is given, of ESTELA_LISTEN, and print the answer; 0 if it is 200, else 1.

    Without ESTELA_LISTEN there is nothing to ask: 0, as all that is known then is that the process runs.
    """
    path = arguments[0] if arguments else "/livez"
    listen = environ.get("ESTELA_LISTEN", "")
    if not listen:
        _print("not asked: ESTELA_LISTEN is not set")
        return HEALTHY
    try:
        status, text = _ask(ListenAddress.parse(listen), path)
    except (ListenError, OSError, http.client.HTTPException) as error:
        _print(f"{path} of {listen}: {type(error).__name__}: {str(error)!a}")
        return UNHEALTHY
    _print(f"{status} {text.strip()!a}")  # on one line, and shown, whoever it was that answered
    return HEALTHY if status == http.client.OK else UNHEALTHY


def _ask(address: ListenAddress, path: str) -> tuple[int, str]:
    host = _EVERYWHERE.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_LONGEST).decode(errors="replace")
    finally:
        connection.close()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
