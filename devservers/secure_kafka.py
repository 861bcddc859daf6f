"""A Kafka that insists on TLS and a login, and lets nobody do what it was not told to allow."""

from __future__ import annotations

import contextlib
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
    UserScramCredentialUpsertion,
)

from devservers.certificates import make_certificate
from devservers.kafka import KafkaCluster
from devservers.ports import free_port

OWNER = "owner"  # who may do everything
PASSWORD = "open-sesame"
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
MECHANISMS = ("PLAIN", *_SCRAM)


class SecureKafka:
    """One broker. Its users are the owner and those that are named, who may do nothing at first."""

    def __init__(self, folder: Path, users: Sequence[str]) -> None:
        self._port = free_port()
        self._users = (OWNER, *users)
        self._certificate, with_key = make_certificate(folder)
        logins = " ".join(f'user_{user}="{PASSWORD}"' for user in self._users)
        self._cluster = KafkaCluster(
            folder,
            more={
                "listeners": f"SECURE://localhost:{self._port}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
                "listener.name.secure.ssl.keystore.type": "PEM",
                "listener.name.secure.ssl.keystore.location": str(with_key),
                "listener.name.secure.sasl.enabled.mechanisms": ",".join(MECHANISMS),
                "listener.name.secure.plain.sasl.jaas.config": (
                    f"org.apache.kafka.common.security.plain.PlainLoginModule required {logins};"
                ),
                **{
                    f"listener.name.secure.{mechanism.lower()}.sasl.jaas.config": (
                        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                    )
                    for mechanism in _SCRAM
                },
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": f"User:ANONYMOUS;User:{OWNER}",  # the first is everyone on the other listener
            },
        )

    def start(self) -> None:
        """Start it; return when it answers and its users may log in by each mechanism."""
        self._cluster.start()
        with contextlib.closing(self._admin()) as admin:
            for mechanism in _SCRAM:  # one request may give a user one password
                passwords = [UserScramCredentialUpsertion(user, mechanism, PASSWORD) for user in self._users]
                answers = admin.alter_user_scram_credentials(passwords)
                if any(answers.values()):
                    raise RuntimeError(f"no passwords for {mechanism}: {answers}")

    def stop(self) -> None:
        """Kill it."""
        self._cluster.stop()

    def settings(self, user: str, mechanism: str = "PLAIN") -> dict[str, Any]:
        """What `open_platform` needs to come as this user."""
        return {
            "platform": "kafka",
            "listeners": f"localhost:{self._port}",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
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
        with contextlib.closing(self._admin()) as admin:
            admin.create_acls([ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, what)])

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self._cluster.bootstrap_servers)
