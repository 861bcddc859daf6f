"""An OAuth token endpoint for the client-credentials grant, over HTTP or HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CLIENT, SECRET = "crawler", "s3cr3t:with/everything é"


def unsecured_token(subject: str, lifetime: float = 3600.0) -> str:
    """A token without a signature, as Kafka's development validator takes it."""
    claims = {"sub": subject, "iat": time.time() - 60, "exp": time.time() + lifetime}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


class TokenEndpoint:
    """Gives tokens to the one client that it knows; `answer` is sent instead where it is set."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.asked: list[dict[str, str]] = []
        self.lifetime = 3600.0
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{self._server.server_address[1]}/token"

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        form = request.rfile.read(int(request.headers["Content-Length"])).decode()
        self.asked.append(dict(urllib.parse.parse_qsl(form)))
        status, headers, body = self.answer or self._judge(request.headers["Authorization"])
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def _judge(self, authorization: str) -> tuple[int, dict[str, str], bytes]:
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if [urllib.parse.unquote_plus(part) for part in pair] != [CLIENT, SECRET]:
            return 401, {}, json.dumps({"error": "invalid_client", "error_description": SECRET}).encode()
        token = {"access_token": unsecured_token(CLIENT), "expires_in": self.lifetime, "token_type": "Bearer"}
        return 200, {}, json.dumps(token).encode()
