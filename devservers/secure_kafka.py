"""A Kafka that insists on TLS and a login, and lets nobody do what it was not told to allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from devservers.certificates import make_certificate
from devservers.kafka import KafkaCluster
from devservers.ports import free_port

OWNER = "owner"  # who may do everything
PASSWORD = "open-sesame"


class SecureKafka:
    """One broker. Its users are the owner and those that are named, who may do nothing at first."""

    def __init__(self, folder: Path, users: Sequence[str]) -> None:
        self._port = free_port()
        self._certificate, with_key = make_certificate(folder)
        logins = " ".join(f'user_{user}="{PASSWORD}"' for user in (OWNER, *users))
        self._cluster = KafkaCluster(
            folder,
            more={
                "listeners": f"SECURE://localhost:{self._port}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
                "listener.name.secure.ssl.keystore.type": "PEM",
                "listener.name.secure.ssl.keystore.location": str(with_key),
                "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
                "listener.name.secure.plain.sasl.jaas.config": (
                    f"org.apache.kafka.common.security.plain.PlainLoginModule required {logins};"
                ),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": f"User:ANONYMOUS;User:{OWNER}",  # the first is everyone on the other listener
            },
        )

    def start(self) -> None:
        """Start it; return when it answers."""
        self._cluster.start()

    def stop(self) -> None:
        """Kill it."""
        self._cluster.stop()

    def settings(self, user: str) -> dict[str, Any]:
        """What `open_platform` needs to come as this user."""
        return {
            "platform": "kafka",
            "listeners": f"localhost:{self._port}",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": user,
            "sasl_password": PASSWORD,
            "ssl_cafile": str(self._certificate),
        }

    def allow(
        self, user: str, operation: ACLOperation, kind: ResourceType, name: str, *, prefix: bool = False
    ) -> None:
        """Let a user do this with what has this name, or begins with it."""
        pattern = ACLResourcePatternType.PREFIXED if prefix else ACLResourcePatternType.LITERAL
        what = ResourcePattern(kind, name, pattern)
        admin = KafkaAdminClient(bootstrap_servers=self._cluster.bootstrap_servers)
        try:
            admin.create_acls([ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, what)])
        finally:
            admin.close()
