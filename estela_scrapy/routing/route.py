"""A route: what is so for all items that go one way. The settings for all items make the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy.routing.entries import SETTING, Entry, Predicate
from estela_wire.keys import OnExisting

DEFAULT_ON_EXISTING = OnExisting.REPLACE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where its items go, and what becomes of what is there."""

    name: str = ""
    """What its stream is called after; empty for the way of all items that no entry takes."""
    shown: str = ""
    """What people know it as."""
    item_class: type | None = None
    predicate: Predicate | None = None
    topic: str = ""
    database: str = ""
    """Template; empty: the consumer's choice."""
    dataset: str = ""
    """Template; empty: the layout's."""
    key: tuple[str, ...] = ()
    """The fields that tell its documents apart; none: each item is a document."""
    on_existing: str = ""
    """Empty if and only if there is no key."""
    unique: bool = False
    metadata: bool = False
    fields: Mapping[str, str] | None = None
    """The fields that are published, and under which names; None: all of them."""
    accepts: Predicate | None = None

    @property
    def is_default(self) -> bool:
        """Whether it takes what no entry does."""
        return not self.name

    @property
    def keeps(self) -> tuple[tuple[str, ...], str, bool]:
        """What two routes to one collection must have in common."""
        return self.key, self.on_existing, self.unique


def default_route(
    *,
    topic: str,
    database: str,
    dataset: str,
    key: tuple[str, ...],
    on_existing: str | None,
    unique: bool,
    metadata: bool | None,
    is_shared: bool,
) -> Route:
    """The way that the settings for all items describe. Raises ConfigurationError.

    `is_shared`: whether several jobs share a collection, by which `metadata` is decided if it is None.
    """
    if unique and key:
        raise ConfigurationError(
            "ESTELA_KEY and ESTELA_UNIQUE (or ESTELA_UNIQUE_COLLECTION) exclude each other: a document is "
            "told apart by its key or by all of its content"
        )
    if unique and metadata:
        raise ConfigurationError(f"ESTELA_METADATA and ESTELA_UNIQUE exclude each other: {_ONE_OF_MANY}")
    return Route(
        shown="items",
        topic=topic,
        database=database,
        dataset=dataset,
        key=key,
        on_existing=(on_existing or DEFAULT_ON_EXISTING) if key else "",
        unique=unique,
        metadata=_metadata(key, unique, metadata, is_shared=is_shared),
    )


_ONE_OF_MANY = "equal items are one document, which has no one page and time"


def routes_of(
    entries: Sequence[Entry],
    default: Route,
    *,
    on_existing: str | None,
    metadata: bool | None,
    is_shared: bool,
) -> tuple[Route, ...]:
    """The entries, each with the settings for all items in the place of what it leaves out.

    `on_existing` and `metadata` are those settings as far as they are given. Raises ConfigurationError.
    """
    return tuple(
        _route(entry, default, on_existing=on_existing, metadata=metadata, is_shared=is_shared)
        for entry in entries
    )


def check_on_existing(on_existing: str | None, default: Route, routes: Sequence[Route]) -> None:
    """Raise ConfigurationError if ESTELA_ON_EXISTING is set and nothing has a key."""
    if on_existing and not any(route.key for route in (default, *routes)):
        raise ConfigurationError(
            f"ESTELA_ON_EXISTING={on_existing} needs ESTELA_KEY, or an entry of {SETTING} with a key: the "
            "fields that tell documents apart"
        )


def _route(
    entry: Entry, default: Route, *, on_existing: str | None, metadata: bool | None, is_shared: bool
) -> Route:
    options, shown = entry.options, entry.shown
    unique = default.unique if options.unique is None else options.unique
    key = default.key if options.key is None and not options.unique else options.key or ()
    if options.key and options.unique:
        raise ConfigurationError(
            f"{shown}: key and unique exclude each other: a document is told apart by its key or by all of "
            "its content"
        )
    unique = unique and not key
    if options.on_existing and not key:
        raise ConfigurationError(
            f"{shown}: on_existing={options.on_existing} needs key: the fields that tell documents apart"
        )
    if unique and options.metadata:
        raise ConfigurationError(f"{shown}: metadata and unique exclude each other: {_ONE_OF_MANY}")
    topic = default.topic if options.topic is None else options.topic
    if not topic:
        raise ConfigurationError(f"{shown} has no topic, and ESTELA_ITEMS_TOPIC is empty; name one in either")
    _check_fields(entry, key)
    wanted = metadata if options.metadata is None else options.metadata
    return Route(
        name=entry.name,
        shown=shown,
        item_class=entry.item_class,
        predicate=entry.predicate,
        topic=topic,
        database=default.database if options.database is None else options.database,
        dataset=default.dataset if options.dataset is None else options.dataset,
        key=key,
        on_existing=(options.on_existing or on_existing or DEFAULT_ON_EXISTING) if key else "",
        unique=unique,
        metadata=_metadata(key, unique, wanted, is_shared=is_shared),
        fields=options.fields,
        accepts=entry.accepts,
    )


def _check_fields(entry: Entry, key: tuple[str, ...]) -> None:
    """Raise ConfigurationError for a field that the class has not, or a key that is not published."""
    selection = entry.options.fields
    if selection is None:
        entry.check_fields(key)
        return
    entry.check_fields(list(selection))
    for name in key:
        if name not in selection.values():
            raise ConfigurationError(
                f"{entry.shown}: the key has {name}, which is not among the published fields "
                f"{', '.join(selection.values())}"
            )


def _metadata(key: tuple[str, ...], unique: bool, wanted: bool | None, *, is_shared: bool) -> bool:
    """A keyed document cannot be without them, nor can one that stands for several items have them."""
    return bool(key) or (not unique and (is_shared if wanted is None else wanted))
