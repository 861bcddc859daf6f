"""A Kafka with a listener for each way to be reached, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devservers.certificates import make_certificate
from devservers.kafka import KafkaCluster
from devservers.ports import free_port

USER, PASSWORD = "guest", "open-sesame"
NOWHERE = "127.0.0.1:1"  # where nothing listens

_UNSECURED = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
_VALIDATOR = (
    "org.apache.kafka.common.security.oauthbearer.internals.unsecured."
    "OAuthBearerUnsecuredValidatorCallbackHandler"
)
_PROTOCOLS = {
    "LOGIN": "SASL_PLAINTEXT",
    "LOGINTLS": "SASL_SSL",
    "OAUTH": "SASL_PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "MISNAMED": "SSL",
    "LOST": "PLAINTEXT",
}


class ManyListeners:
    """One broker. Listener LOST advertises an address where nothing listens; MUTUAL wants a certificate."""

    def __init__(self, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._ports = {name: free_port() for name in _PROTOCOLS}
        self.authority, right = make_certificate(folder)
        self.expired_authority, expired = make_certificate(folder, "expired-", expired=True)
        self.misnamed_authority, misnamed = make_certificate(folder, "misnamed-", host="elsewhere.example")
        self.client_certificate, self.client_key = make_certificate(folder, "client-", password=PASSWORD)
        keys = {"EXPIRED": expired, "MISNAMED": misnamed}
        addresses = {name: f"{name}://{self.at(name)}" for name in _PROTOCOLS}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **_PROTOCOLS}
        settings = {
            "listeners": ",".join(addresses.values()),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.truststore.type": "PEM",
            "listener.name.mutual.ssl.truststore.location": str(self.client_certificate),
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": (
                f'{_UNSECURED} unsecuredLoginStringClaim_sub="broker";'
            ),
            "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": _VALIDATOR,
        }
        for name, protocol in _PROTOCOLS.items():
            prefix = f"listener.name.{name.lower()}"
            if protocol.endswith("SSL"):
                settings[f"{prefix}.ssl.keystore.type"] = "PEM"
                settings[f"{prefix}.ssl.keystore.location"] = str(keys.get(name, right))
            if name.startswith("LOGIN"):
                settings[f"{prefix}.sasl.enabled.mechanisms"] = "PLAIN"
                settings[f"{prefix}.plain.sasl.jaas.config"] = (
                    "org.apache.kafka.common.security.plain.PlainLoginModule required "
                    f'user_{USER}="{PASSWORD}";'
                )
        self._cluster = KafkaCluster(folder, more={**settings, **(more or {})})
        self.plaintext = self._cluster.bootstrap_servers
        advertised = {**addresses, "PLAINTEXT": f"PLAINTEXT://{self.plaintext}", "LOST": f"LOST://{NOWHERE}"}
        self._cluster.brokers[0].set_property("advertised.listeners", ",".join(advertised.values()))

    def at(self, listener: str) -> str:
        """The address of a listener."""
        return f"localhost:{self._ports[listener]}"

    def start(self) -> None:
        """Start it; return when it answers."""
        self._cluster.start()

    def stop(self) -> None:
        """Kill it."""
        self._cluster.stop()

    def freeze(self) -> None:
        """Have it keep its connections and answer nothing, until `thaw`."""
        self._cluster.brokers[0].freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._cluster.brokers[0].thaw()
