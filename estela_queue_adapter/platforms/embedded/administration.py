"""The embedded queue as its operator sees it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from estela_queue_adapter.administration import (
    CONSUMER,
    EMPTY,
    STABLE,
    Administration,
    Group,
    PartitionRange,
    Prunable,
    Pruned,
    Topic,
)
from estela_queue_adapter.errors import GroupInUse, TopicMissing
from estela_queue_adapter.messages import Position
from estela_queue_adapter.platforms.embedded.log import PARTITION, EmbeddedLog
from estela_queue_adapter.platforms.embedded.turn import ReaderTurn
from estela_queue_adapter.topic_names import checked_topic

_REMOVED_AT_ONCE = 2_000  # messages in one transaction, for which writers wait
_GIVEN_BACK_AT_ONCE = 1_000  # pages, likewise
_COMPANIONS = ("", "-wal")  # what of the file takes room


class EmbeddedAdministration(Administration):
    """Asks the file, which it creates no more than a reader does; members are known by their locks."""

    _SQL_TOPICS = "SELECT id, name, next_offset FROM topics ORDER BY name"
    _SQL_POSITIONS = "SELECT group_id, topic, offset FROM positions ORDER BY group_id, topic"
    _SQL_SINCE = "SELECT id FROM messages WHERE id >= ? AND id < ? AND time >= ? ORDER BY id LIMIT 1"
    _SQL_REMOVE = "DELETE FROM messages WHERE id >= ? AND id < ?"
    _SQL_FORGET = "DELETE FROM positions WHERE group_id = ? AND topic = ?"
    _SQL_COMMIT = "INSERT OR REPLACE INTO positions (group_id, topic, offset) VALUES (?, ?, ?)"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: EmbeddedLog | None = None

    def topics(self, names: Collection[str] | None = None) -> Sequence[Topic]:
        for name in names or ():
            checked_topic(name)
        if not self._path.exists():
            self._check_there(names, ())
            return []
        with self._log.connection() as db:
            rows = db.execute(self._SQL_TOPICS).fetchall()
        self._check_there(names, [name for _, name, _ in rows])
        return [
            Topic(name, (PartitionRange(PARTITION, self._log.beginning(name), end),))
            for _, name, end in rows
            if names is None or name in names
        ]

    def groups(self, names: Collection[str] | None = None) -> Sequence[Group]:
        members: dict[str, int] = {}
        for group, topic, _ in self._positions():
            if names is None or group in names:
                taken = ReaderTurn(self._path, group, topic).is_taken()
                members[group] = members.get(group, 0) + taken
        return [Group(group, STABLE if count else EMPTY, count, CONSUMER) for group, count in members.items()]

    def committed(self, group: str) -> Sequence[Position]:
        return [Position(topic, PARTITION, at) for name, topic, at in self._positions() if name == group]

    def first_since(self, topic: str, moment: float) -> Sequence[Position]:
        [found] = self.topics([topic])
        with self._log.connection() as db:
            return [Position(topic, PARTITION, self._since(db, topic, moment, found.partitions[0].end))]

    def set_committed(self, group: str, positions: Sequence[Position]) -> None:
        with self._turns(group, [at.topic for at in positions]), self._log.transaction() as db:
            db.executemany(self._SQL_COMMIT, [(group, at.topic, at.offset) for at in positions])

    def remove_group(self, group: str) -> None:
        topics = [at.topic for at in self.committed(group)]
        with self._turns(group, topics), self._log.transaction() as db:
            db.executemany(self._SQL_FORGET, [(group, topic) for topic in topics])

    def prunable(
        self,
        topics: Collection[str] | None = None,
        before: float | None = None,
        *,
        without_group: bool = False,
    ) -> list[Prunable]:
        found = self.topics(topics)
        if not found:
            return []
        with self._log.connection() as db:
            return [self._prunable(db, topic, before, without_group) for topic in found]

    def prune(
        self, topics: Collection[str], before: float | None = None, *, without_group: bool = False
    ) -> Pruned:
        size = self._bytes()
        plans = self.prunable(topics, before, without_group=without_group)
        removed = sum(self._remove(each) for each in plans)
        if removed:
            self._give_back()
        return Pruned(removed, size, self._bytes())

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @property
    def _log(self) -> EmbeddedLog:
        if self._opened is None:
            self._opened = EmbeddedLog(self._path)
        return self._opened

    def _check_there(self, names: Collection[str] | None, there: Collection[str]) -> None:
        for name in names or ():
            if name not in there:
                raise TopicMissing(f"there is no topic {name} in {self._path}: nothing was ever sent to it")

    def _positions(self) -> list[tuple[str, str, int]]:
        if not self._path.exists():
            return []
        with self._log.connection() as db:
            return db.execute(self._SQL_POSITIONS).fetchall()

    @contextlib.contextmanager
    def _turns(self, group: str, topics: Sequence[str]) -> Iterator[None]:
        """Be the group's reader of these topics meanwhile, so that nobody else is."""
        with contextlib.ExitStack() as held:
            for topic in dict.fromkeys(topics):
                turn = ReaderTurn(self._path, group, topic)
                if not turn.acquire():
                    raise GroupInUse(f"a reader of the group {group} has {topic} now; stop it first")
                held.callback(turn.end)
            yield

    def _prunable(
        self, db: sqlite3.Connection, topic: Topic, before: float | None, without_group: bool
    ) -> Prunable:
        [there] = topic.partitions
        beginning, end = there.beginning, there.end
        limit = end if before is None else self._since(db, topic.name, before, end)
        positions = {group: at for group, name, at in self._positions() if name == topic.name}
        behind = [(group, limit - max(at, beginning)) for group, at in positions.items() if at < limit]
        until = max(beginning, min([limit, *positions.values()]))
        if not positions and not without_group:
            until = beginning
        return Prunable(topic.name, beginning, until, tuple(behind), bool(positions))

    def _since(self, db: sqlite3.Connection, topic: str, moment: float, end: int) -> int:
        """The offset of the first message of that time or later; `end` if there is none."""
        first, last = self._rows(db, topic)
        row = db.execute(self._SQL_SINCE, (first, last, moment)).fetchone()
        return end if row is None else int(row[0]) - first

    def _rows(self, db: sqlite3.Connection, topic: str) -> tuple[int, int]:
        [(number, _)] = db.execute(EmbeddedLog.SQL_TOPIC, (topic,)).fetchall()
        return EmbeddedLog.row_id(number, 0), EmbeddedLog.row_id(number + 1, 0)

    def _remove(self, prunable: Prunable) -> int:
        """A few at a time, and each time no further than the groups have read by then."""
        at, removed = prunable.beginning, 0
        while at < prunable.until:
            with self._log.transaction() as db:
                read = [
                    offset for _, name, offset in db.execute(self._SQL_POSITIONS) if name == prunable.topic
                ]
                until = min([prunable.until, at + _REMOVED_AT_ONCE, *read])
                if until <= at or (prunable.read_by_a_group and not read):
                    break  # a group was reset, or the last one removed, meanwhile
                first, _ = self._rows(db, prunable.topic)
                removed += db.execute(self._SQL_REMOVE, (first + at, first + until)).rowcount
            at = until
        return removed

    def _give_back(self) -> None:
        """Make the file as small as what is in it, in steps for which writers need not wait long."""
        while self._vacuum():
            pass
        with self._log.connection() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _vacuum(self) -> bool:
        """One step; whether there is more to do."""
        with self._log.connection() as db:
            [(mode,)] = db.execute("PRAGMA auto_vacuum")
            if not mode:  # the file was made by a version that did not provide for it: once, as a whole
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("VACUUM")
                return False
            db.execute(f"PRAGMA incremental_vacuum({_GIVEN_BACK_AT_ONCE})").fetchall()
            [(free,)] = db.execute("PRAGMA freelist_count")
            return bool(free)

    def _bytes(self) -> int:
        return sum(
            os.stat(f"{self._path}{companion}").st_size
            for companion in _COMPANIONS
            if os.path.exists(f"{self._path}{companion}")
        )
