"""The streams of a job's items: one for each route, or for each class of items; and which takes an item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from estela_queue_adapter.serialization.writing import Unwritable
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.routing.entries import Predicate, free_name
from estela_scrapy.routing.route import Route
from estela_scrapy.routing.stream import Stream
from estela_scrapy.routing.target import Target, Targets, class_of
from estela_scrapy.routing.unkeyed import unkeyed_in
from estela_terminal.printable import printable_logger
from estela_wire.closing_record import ITEMS
from estela_wire.jid import as_jid_part
from estela_wire.shown import shown

_MOST_CLASSES = 200  # that have a stream of their own: each is in the closing record

logger = printable_logger(__name__)


class NoDataset(Exception):
    """An item cannot be stored where it belongs."""


class ItemStream(Stream):
    """The items of one route."""

    def __init__(self, publisher: Publisher, name: str, target: Target, route: Route, conflict: str) -> None:
        """`conflict` says why nothing can be published; empty if that can."""
        super().__init__(publisher, name, target)
        self.filtered = 0
        """Items that the route's filter did not accept, or that go nowhere."""
        self.is_plain = not (route.accepts or route.fields or route.key or conflict) and bool(target.topic)
        """Whether items are published as they are."""
        self.may_filter = route.accepts is not None or not target.topic
        self._route = route
        self._conflict = conflict

    def accepts(self, item: Any) -> bool:
        """Whether the item is to be published; if not, it is counted. Raises what the filter does."""
        if not self.topic or (self._route.accepts is not None and not self._route.accepts(item)):
            self.filtered += 1
            return False
        if self._conflict:
            raise Unwritable("", NoDataset(self._conflict))
        return True

    def selected(self, fields: Any) -> Any:
        """The fields that are published, under the names that they are published as."""
        selection = self._route.fields
        if selection is None:
            return fields
        return {name: fields[field] for field, name in selection.items() if field in fields}

    def missing_key(self, fields: Any, payload: bytes) -> list[str]:
        """The fields of the key that an item does not have, or that hold what can be no part of one.

        `payload` is what was made of `fields`.
        """
        names = self._route.key
        return [] if all(_is_plain_key(fields.get(name)) for name in names) else unkeyed_in(names, payload)


def _is_plain_key(value: Any) -> bool:
    """Whether it is surely a key's value; of others it has to be seen how they are written."""
    cls = type(value)
    return cls is int or (cls is str and value != "")


class _Way(NamedTuple):
    """A stream that items of a class may go to."""

    predicate: Predicate | None
    """None: they all do."""
    stream: ItemStream


class ItemStreams:
    """Finds the stream of each item: that of the first entry of ESTELA_ITEMS that fits, or of the rest.

    Lives on the reactor's thread, but for iterating over it at the end.
    """

    def __init__(self, publisher: Publisher, targets: Targets) -> None:
        self._publisher = publisher
        self._targets = targets
        self._routed = [(route, self._stream(route, class_of(route))) for route in targets.routes]
        self._by_class: dict[str, ItemStream] = {}
        self._default = self._stream(targets.default, dict.__name__)
        self._of_class: Callable[[str], ItemStream] = (
            self._stream_of_class if targets.is_by_class(targets.default) else lambda _: self._default
        )
        self._ways: WeakKeyDictionary[type, list[_Way]] = WeakKeyDictionary()
        self.has_one = not self._routed and not targets.is_by_class(targets.default)
        """Whether every item goes to the default stream."""

    def __iter__(self) -> Iterator[ItemStream]:
        """Those that items are published on, may be, or would have been."""
        if self._default.topic or self._routed:
            yield self._default
        yield from (stream for _, stream in self._routed)
        yield from list(self._by_class.values())

    @property
    def has_keys(self) -> bool:
        """Whether an item may lack its key."""
        return any(route.key for route in (self._targets.default, *self._targets.routes))

    @property
    def default(self) -> ItemStream:
        """The stream that counts what is no stream's."""
        return self._default

    def of(self, item: Any) -> ItemStream:
        """The stream that the item goes to. Raises what a predicate does."""
        cls = type(item)
        ways = self._ways.get(cls)
        if ways is None:
            ways = self._ways[cls] = list(self._ways_of(cls))
        for predicate, stream in ways:
            if predicate is None or predicate(item):
                return stream
        raise AssertionError("the last way takes every item")

    def _ways_of(self, cls: type) -> Iterator[_Way]:
        for route, stream in self._routed:
            if route.item_class is None:
                yield _Way(route.predicate, stream)
            elif issubclass(cls, route.item_class):
                yield _Way(None, stream)
                return
        yield _Way(None, self._of_class(as_jid_part(cls.__name__)))

    def _stream(self, route: Route, item_class: str) -> ItemStream:
        target = self._targets.items(route, item_class)
        conflict = self._targets.conflict(target) if route.is_default and target.topic else ""
        name = f"{ITEMS}/{route.name}" if route.name else ITEMS
        return ItemStream(self._publisher, name, target, route, conflict)

    def _stream_of_class(self, item_class: str) -> ItemStream:
        """The stream of all classes of that name that no entry takes. A plain dict's is the default."""
        if item_class == dict.__name__:
            return self._default
        found = self._by_class.get(item_class)
        if found is None and len(self._by_class) < _MOST_CLASSES:
            found = self._by_class[item_class] = self._new_stream_of_class(item_class)
        if found is None:
            logger.warning(
                "Items of class %s are published with those of plain dicts: more than %d classes have a "
                "collection of their own. Name them in ESTELA_ITEMS.",
                shown(item_class),
                _MOST_CLASSES,
            )
        return found or self._default

    def _new_stream_of_class(self, item_class: str) -> ItemStream:
        route, target = self._targets.default, self._targets.items(self._targets.default, item_class)
        name = free_name(f"{ITEMS}/{item_class}", [stream.name for stream in self])
        conflict = self._targets.conflict(target) if target.topic else ""
        return ItemStream(self._publisher, name, target, route, conflict)
