"""When a command insists on TLS: estela's PRODUCTION and the certificate, wherever it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from estela_consumer.cli.store_options import store_settings

MONGODB = "mongodb://host/"


@pytest.mark.parametrize(
    ("url", "certificate", "production", "expected"),
    [
        (MONGODB, "", None, (False, "")),
        (MONGODB, "ca.pem", None, (True, "ca.pem")),
        (MONGODB, "ca.pem", "False", (False, "")),
        (MONGODB, "", "True", (True, "")),
        (MONGODB, "", "", (True, "")),  # as estela's chart sets it
        (MONGODB, "ca.pem", "", (True, "ca.pem")),
        ("mongodb+srv://host/", "", "yes", (True, "")),
        ("sqlite:///file.db", "ca.pem", "True", (False, "")),
    ],
)
def test_production_decides_and_where_it_is_unset_a_certificate_does(
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    certificate: str,
    production: str | None,
    expected: tuple[bool, str],
) -> None:
    if production is not None:
        monkeypatch.setenv("PRODUCTION", production)

    settings = store_settings(url, certificate, os.environ)

    assert (settings.tls, settings.tls_ca_file) == expected
