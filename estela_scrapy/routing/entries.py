"""The entries of ESTELA_ITEMS: which items each takes, and what it says of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from itemadapter import ItemAdapter

from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy import setting_kinds as kinds
from estela_scrapy.routing.loading import load, load_function
from estela_terminal.printable import shown as printed
from estela_wire.published import topic as as_topic

SETTING = "ESTELA_ITEMS"

Predicate = Callable[[Any], Any]

_FORM = "a mapping of item classes to their options, such as {Product: {'key': 'sku'}}"
_NAMED = "an entry is for a class or a function of one item, itself or by its import path"
_LIKE = 0.6  # by difflib's measure


def _selection(name: str, given: Any) -> Mapping[str, str]:
    """The fields that are published, and what each is called, as FEEDS has them."""
    if isinstance(given, Mapping):
        selection = dict(given)
        if not all(isinstance(part, str) for pair in selection.items() for part in pair):
            raise ConfigurationError(f"{name}={printed(given)} does not map names of fields to names")
        kinds.field_names(name, list(selection.values()))  # two fields would be one
    else:
        selection = {field: field for field in kinds.field_names(name, given)}
    if not kinds.field_names(name, list(selection)):
        raise ConfigurationError(f"{name}={printed(given)} names no field; without it, all are published")
    return selection


def _filter(name: str, given: Any) -> Any:
    """A class as FEEDS' `item_filter`, or a function: what is not accepted is not published."""
    example = "myproject.filters.is_cheap; or a class with a method accepts(item)"
    found = load(name, given, f"it names a function of one item, such as {example}")
    if isinstance(found, type) or hasattr(found, "accepts"):
        if not callable(getattr(found, "accepts", None)):
            raise ConfigurationError(
                f"{name}: the class {printed(found.__name__)} has no method accepts(item)"
            )
        return found
    return load_function(name, given, example)


def _topic(name: str, given: Any) -> str:
    topic = as_topic(name, given)
    if not topic:
        raise ConfigurationError(f"{name}={printed(given)} is no topic; `filter` leaves items out")
    return topic


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOptions:
    """What an entry says of its items. None: what the setting for all items says."""

    topic: str | None = field(default=None, metadata={"kind": _topic})
    dataset: str | None = field(default=None, metadata={"kind": kinds.template(*kinds.DATASET_PLACEHOLDERS)})
    database: str | None = field(default=None, metadata={"kind": kinds.template(*kinds.PLACEHOLDERS)})
    key: tuple[str, ...] | None = field(default=None, metadata={"kind": kinds.key})
    on_existing: str | None = field(default=None, metadata={"kind": kinds.on_existing})
    unique: bool | None = field(default=None, metadata={"kind": kinds.boolean})
    metadata: bool | None = field(default=None, metadata={"kind": kinds.boolean})
    fields: Mapping[str, str] | None = field(default=None, metadata={"kind": _selection})
    filter: Any = field(default=None, metadata={"kind": _filter})

    @classmethod
    def read(cls, name: str, given: Any) -> EntryOptions:
        """Read the options of the entry that people know as `name`. Raises ConfigurationError."""
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{name}={printed(given)} is not a mapping of options")
        known = {each.name: each.metadata["kind"] for each in fields(cls)}
        for option in given:
            if option not in known:
                raise ConfigurationError(f"{name}: {_unknown(option, known)}")
        # A key of None is no key; any other option that is None is one that is not given.
        return cls(
            **{
                option: known[option](f"{name}: {option}", value)
                for option, value in given.items()
                if value is not None or option == "key"
            }
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, in the order in which they are tried."""

    name: str
    """What its stream and its stats are called after."""
    shown: str
    """What people know it as."""
    item_class: type | None
    """Whose items it takes, those of its subclasses too."""
    predicate: Predicate | None
    """Or what says of an item whether it does."""
    options: EntryOptions
    accepts: Predicate | None
    """What says of an item whether it is published."""

    def check_fields(self, names: Collection[str]) -> None:
        """Raise ConfigurationError for a name that is no field of the class, if that declares its fields."""
        declared = _declared_fields(self.item_class) if self.item_class is not None else ()
        for name in names if declared else ():
            if name not in declared:
                raise ConfigurationError(
                    f"{self.shown}: {printed(name)} is no field of the class; it declares "
                    f"{printed(', '.join(declared))}"
                )


def read_entries(name: str, given: Any) -> tuple[Entry, ...]:
    """The kind of ESTELA_ITEMS: a mapping, or the text of one as JSON. Raises ConfigurationError."""
    if given is None or given == "":
        return ()
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ConfigurationError(f"{name}={printed(given)} is not JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{name}={printed(given)} is not {_FORM}")
    entries = [_entry(name, *pair) for pair in given.items()]
    _check_order(entries)
    return tuple(_named_apart(entries))


def _entry(setting: str, matcher: Any, given: Any) -> Entry:
    shown = f"{setting}[{printed(matcher if isinstance(matcher, str) else _full_name(matcher))}]"
    found = load(shown, matcher, _NAMED)
    if isinstance(found, type):
        item_class, predicate = found, None
        if not _may_be_items(found):
            raise ConfigurationError(
                f"{shown}: no item is of that class: items are dicts, scrapy.Items, dataclasses, attrs or "
                "pydantic objects"
            )
    elif callable(found):
        item_class, predicate = None, load_function(shown, found, "myproject.items.is_book")
    else:
        raise ConfigurationError(f"{shown} is a {type(found).__name__}; {_NAMED}")
    options = EntryOptions.read(shown, given)
    return Entry(
        name=printed(getattr(found, "__name__", type(found).__name__)),
        shown=shown,
        item_class=item_class,
        predicate=predicate,
        options=options,
        accepts=_accepting(shown, options.filter, given),
    )


def _accepting(shown: str, given: Any, options: Mapping[str, Any]) -> Predicate | None:
    """What says whether an item is published. Scrapy's own filters are given the options, and so is any."""
    if given is None:
        return None
    if not isinstance(given, type):
        return getattr(given, "accepts", given)  # type: ignore[no-any-return]
    try:
        return given(dict(options)).accepts  # type: ignore[no-any-return]
    except Exception as error:
        raise ConfigurationError(
            f"{shown}: filter: {printed(given.__name__)}(options) raises {type(error).__name__}: "
            f"{printed(error)}"
        ) from error


def _check_order(entries: list[Entry]) -> None:
    """Raise ConfigurationError for an entry that no item ever reaches: an earlier one takes them all."""
    for number, entry in enumerate(entries):
        for earlier in entries[:number]:
            if entry.item_class is None or earlier.item_class is None:
                continue
            if issubclass(entry.item_class, earlier.item_class):
                raise ConfigurationError(
                    f"{entry.shown} takes no item: {earlier.shown} before it takes them all, as the first "
                    "entry that fits does; put the class before its base"
                )


def _named_apart(entries: list[Entry]) -> Iterator[Entry]:
    names: set[str] = set()
    for entry in entries:
        name = free_name(entry.name, names)
        names.add(name)
        yield Entry(name, entry.shown, entry.item_class, entry.predicate, entry.options, entry.accepts)


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with the first number behind it that makes it another than those."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _unknown(option: Any, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(option), known, n=1, cutoff=_LIKE)
    advice = f"did you mean {near[0]}?" if near else f"the valid ones are {', '.join(known)}"
    return f"there is no option {printed(option)}; {advice}"


def _may_be_items(cls: type) -> bool:
    """Whether items may be of it, or of classes that it is the base of."""
    return cls.__module__ != "builtins" or cls is object or issubclass(cls, Mapping)


def _declared_fields(cls: type) -> list[str]:
    """Empty if the class does not say, or takes others too."""
    if (getattr(cls, "model_config", None) or {}).get("extra") == "allow":  # pydantic's
        return []
    try:
        return list(ItemAdapter.get_field_names_from_class(cls) or ())
    except Exception:  # noqa: BLE001  (not an item's class itself, but the base of some)
        return []


def _full_name(matcher: Any) -> str:
    module, name = getattr(matcher, "__module__", ""), getattr(matcher, "__qualname__", "")
    return f"{module}.{name}" if module and name else repr(matcher)
