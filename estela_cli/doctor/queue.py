"""The queue: its settings, whether it answers, and what may be done with the topics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from estela_cli.doctor.findings import DEFAULT, NOT_SHOWN, Finding, Value, note, ok, problem
from estela_cli.doctor.patience import NoAnswer, Question
from estela_config.configuration import Configuration
from estela_config.names import is_secret
from estela_queue_adapter import Platform, Subscription, open_platform
from estela_queue_adapter.access import CREATE, READ, WRITE, TopicAccess
from estela_queue_adapter.errors import (
    AccessDenied,
    ConfigurationError,
    PackageNeeded,
    QueueError,
    TopicMissing,
)
from estela_queue_adapter.files.location import located
from estela_queue_adapter.registry import platform_class, queue_variables
from estela_queue_adapter.settings import PREFIX, first_given, unread_settings, variable, variables_of
from estela_wire.topics import dead_letter_topic

_LAG_TIMEOUT = 10.0  # seconds
_CHECK_IT = "check that the queue is running, and the QUEUE_PLATFORM settings above"


def queue_values(configuration: Configuration) -> Iterator[Value]:
    """The settings of the queue that are set, right or wrong, and the platform. Raises ConfigurationError."""
    name = configuration.environ.get(PREFIX) or "embedded"
    yield Value(PREFIX, name, configuration.origin(PREFIX) or DEFAULT)
    sources = configuration.sources(PREFIX, files=True)
    for field in dataclasses.fields(platform_class(name).settings_class):
        given = first_given(field, sources)
        name = variable(field.name)
        if given is not None:
            secret = given.from_file or not field.repr or is_secret(name, str(given.value))
            yield Value(name, NOT_SHOWN if secret else str(given.value), given.origin)
        elif field.name == "path":
            yield Value(name, str(located(str(field.default))), DEFAULT)


def unread(configuration: Configuration) -> list[str]:
    """What to say of each QUEUE_PLATFORM* name that the platform does not read."""
    try:
        platform = open_platform(environ=configuration.environ)
    except ConfigurationError:
        return []  # the check of the queue tells it
    names = [name for name, value in configuration.environ.items() if value]
    read = variables_of(platform.settings_class, Subscription)
    return unread_settings(names, variable(""), read, queue_variables)


class QueueCheck:
    """Asks the queue, on threads of its own. `findings` tells what came of it."""

    def __init__(
        self, configuration: Configuration, topics: Sequence[str], consumed: Sequence[str], group: str,
        *, crawls_here: bool, timeout: float,
    ) -> None:  # fmt: skip
        self._topics = topics
        self._consumed = consumed
        self._crawls_here = crawls_here
        self._group = group
        self._names = [*topics, *map(dead_letter_topic, consumed)]
        self._platform: Platform | None = None
        self._error: ConfigurationError | None = None
        try:
            self._platform = open_platform(environ=configuration.environ)
            self._platform.check()
        except ConfigurationError as error:
            self._error = error
            return
        platform = self._platform
        self._access = Question(lambda: platform.examine(self._names), timeout)

    def findings(self, waiting: Callable[[str, int], None]) -> Iterator[Finding]:
        """Blocks. `waiting` is told of each topic how many messages the group has not been given."""
        if self._platform is None or self._error is not None:
            error = self._error
            if isinstance(error, PackageNeeded):
                yield problem("queue", error.needs, error.install)
            else:
                yield problem("queue", error, "correct the setting that it names")
            return
        if library := self._platform.client_library:
            yield ok("client", f"messages are carried by {library}")
        where = self._platform.describe()
        try:
            accesses = self._access.answer()
        except AccessDenied as error:
            yield problem("queue", error, "correct the login, or have the permission granted")
        except (QueueError, NoAnswer) as error:
            told = str(error) if str(error).startswith(where) else f"{where}: {error}"
            yield problem("queue", told, _CHECK_IT)
        else:
            answers = any(access.partitions or access.operations is not None for access in accesses)
            yield ok("queue", f"{where} {'answers' if answers else 'can be used'}")
            yield from (self._topic(access) for access in accesses if access.topic in self._topics)
            yield from filter(None, (_dead_letters(a) for a in accesses if a.topic not in self._topics))
            readable = [a.topic for a in accesses if a.partitions and READ in (a.operations or {READ})]
            consumed = [topic for topic in readable if topic in self._consumed]
            lags = (self._lag(self._platform, topic, waiting) for topic in consumed)
            yield from filter(None, lags)

    def _topic(self, access: TopicAccess) -> Finding:
        subject, operations = f"topic {access.topic}", access.operations
        is_used = self._crawls_here or access.topic in self._consumed
        if not access.partitions:
            return _missing(access, is_used=is_used)
        number = f"{access.partitions} partition{'s' if access.partitions > 1 else ''}"
        if operations is None:
            return ok(subject, f"exists, {number}")
        missing = {READ, WRITE} - operations
        if not missing:
            return ok(subject, f"exists, {number}; this login may read and write it")
        told = f"exists, {number}; this login may not {' and not '.join(sorted(missing))} it"
        needed = WRITE if self._crawls_here else READ
        if needed in missing and is_used:
            return problem(subject, told, f"grant {needed.capitalize()} on the topic to this login")
        return note(subject, told)

    def _lag(self, platform: Platform, topic: str, waiting: Callable[[str, int], None]) -> Finding | None:
        """How many messages wait for the group; None if the topic was deleted meanwhile."""
        subscription = Subscription(topic=topic, group=self._group)

        def lag() -> int:
            with platform.consumer(subscription) as consumer:
                return consumer.lag()

        subject = f"group {subscription.group_id}"
        try:
            number = Question(lag, _LAG_TIMEOUT).answer()
        except AccessDenied as error:
            return note(subject, str(error), "grant Read on the group, if this login consumes")
        except TopicMissing:
            return None
        except (QueueError, NoAnswer) as error:
            return problem(subject, error, _CHECK_IT)
        waiting(topic, number)
        return ok(subject, f"messages of {topic} that wait for it: {number:,}")


def _missing(access: TopicAccess, *, is_used: bool) -> Finding:
    subject = f"topic {access.topic}"
    if access.operations is None:
        return note(subject, "does not exist yet; the first message creates it")
    if CREATE in access.operations:
        return note(subject, "does not exist yet; this login may create it")
    return (problem if is_used else note)(
        subject,
        "does not exist, or this login may not see it; and it may not create it",
        "create the topic and grant Read and Write on it, or grant Create",
    )


def _dead_letters(access: TopicAccess) -> Finding | None:
    """Of a topic for what cannot be stored; None if there is nothing to say."""
    operations = access.operations
    if operations is None or (WRITE in operations if access.partitions else CREATE in operations):
        return None
    return note(
        f"topic {access.topic}",
        "this login may not write to it or create it: a consumer with it stops at the first bad message",
        "create the topic and grant Write on it to the login that consumes",
    )
