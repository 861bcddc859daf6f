"""From an item or a request to the payload that travels. Nothing here touches the network or the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from itemadapter import ItemAdapter
from itemadapter.adapter import AttrsAdapter, DataclassAdapter, PydanticAdapter
from scrapy.http import Request, Response
from scrapy.item import Item
from twisted.internet.defer import Deferred

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization.codec import Encoder, serialize
from estela_queue_adapter.serialization.conversion import (
    KNOWN,
    Rule,
    extra_of_model,
    name_of_type,
    rule_of_function,
)
from estela_queue_adapter.serialization.typed import TypedEncoder
from estela_queue_adapter.serialization.writing import Converted, Unwritable
from estela_wire.typed_values import BSON, JSON, BsonTypes

_KEPT_BY_CLASS = (DataclassAdapter, AttrsAdapter, PydanticAdapter)  # their fields never change
_ABSENT = object()


class NotAnItem(SerializationError):
    """A pipeline or a spider gave something that has no fields."""

    def __init__(self, given: Any) -> None:
        if given is None:
            super().__init__("not an item; a pipeline that ends without `return item` gives None")
        else:
            super().__init__(
                "not an item; a dict is one, or a scrapy.Item, dataclass, attrs or pydantic object"
            )


class _NotRepeatable(Exception):
    """A field's serializer may use up what it is given, so it must not be called by whoever asks twice."""


class ItemSerializer:
    """Items of every kind that itemadapter knows, and mappings, with the `serializer` of each field applied.

    `own` is the user's function for values that are not JSON. With the types of BSON, values that have one
    are written as MongoDB's Extended JSON. Lives on the reactor's thread alone.
    """

    def __init__(self, own: Callable[[Any], Any] | None = None, types: str = JSON) -> None:
        self._own: Rule | None = None if own is None else _rule_of_users(own)
        self._rules: WeakKeyDictionary[type, Rule] = WeakKeyDictionary()
        self._item_classes: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
        self._serializers: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()
        rules, every_value = (self._simpler, self._simpler_once), own is not None
        self._types = BsonTypes() if types == BSON else None
        self._encoder = (
            Encoder(*rules, every_value=every_value)
            if self._types is None
            else TypedEncoder(self._types.rule, *rules, every_value=every_value)
        )

    def serialize(self, item: Any, converted: list[Converted] | None = None) -> bytes:
        """The item as a JSON object; what only its `str()` could stand for is added to `converted`.

        It is an ExtendedJson if it holds values of BSON's types. Raises SerializationError, most often
        Unwritable, which knows the field. Anything that the item's own code raises becomes one.
        """
        return self.write(item if type(item) is dict else self.fields_of(item), converted)

    def write(self, fields: Any, converted: list[Converted] | None = None) -> bytes:
        """The same of what `fields_of` has returned, or of a part of it."""
        types = self._types
        if types is None:
            return self._encoder.encode(fields, converted)
        types.met = False
        encoded = self._encoder.encode(fields, converted)
        return types.finish(encoded) if types.met else encoded

    def fields_of(self, item: Any) -> Any:
        """The item as a mapping, each field as its serializer has it. Raises Unwritable."""
        if isinstance(item, dict):
            return item
        if isinstance(item, Item) or self._is_item_class(type(item)):
            return self._fields(item)
        if isinstance(item, Mapping):  # Scrapy takes it for an item, itemadapter does not
            return item
        raise Unwritable("", NotAnItem(item))

    def _is_item_class(self, cls: type) -> bool:
        found = self._item_classes.get(cls)
        if found is None:
            try:
                found = ItemAdapter.is_item_class(cls)
            except Exception:  # noqa: BLE001  (code of a foreign metaclass)
                found = False
            self._item_classes[cls] = found
        return found

    def _fields(self, item: Any) -> dict[str, Any]:
        """The fields of an item, each as its serializer has it."""
        adapter: Any = item if isinstance(item, Item) else ItemAdapter(item).adapter
        serialized = self._serialized_fields(adapter)
        declared = isinstance(adapter, _KEPT_BY_CLASS)
        fields: dict[str, Any] = {}
        name = ""
        try:
            for name in adapter.field_names() if declared else adapter:
                value = getattr(adapter.item, name, _ABSENT) if declared else adapter[name]
                if value is _ABSENT:
                    continue
                if name in serialized:
                    value = _metadata(adapter, name)["serializer"](value)
                fields[name] = value
            if isinstance(adapter, PydanticAdapter):
                fields.update(extra_of_model(adapter.item))
        except Exception as error:
            raise Unwritable(name, error) from error
        return fields

    def _serialized_fields(self, adapter: Any) -> tuple[str, ...]:
        """The fields whose metadata name a `serializer`, as Scrapy's exporters know it.

        A Scrapy item may be given further fields at any time. Names are kept, not functions, which might keep
        a class from being freed.
        """
        if isinstance(adapter, Item):
            return tuple(
                name for name, field in adapter.fields.items() if field.get("serializer") is not None
            )
        cls = type(adapter.item)
        found = self._serializers.get(cls)
        if found is None:
            found = tuple(
                name
                for name in adapter.field_names()
                if _metadata(adapter, name).get("serializer") is not None
            )
            if isinstance(adapter, _KEPT_BY_CLASS):
                self._serializers[cls] = found
        return found

    def _simpler(self, value: Any) -> Any:
        """A simpler value in place of one that only Scrapy knows."""
        cls = type(value)
        if (known := KNOWN.get(cls)) is not None:  # most often
            return known(value)
        rule = self._rules.get(cls)
        if rule is None:
            rule = self._rules[cls] = self._rule_of(cls)
        return rule(value)

    def _rule_of(self, cls: type) -> Rule:
        if issubclass(cls, Request):
            return lambda value: f"<{name_of_type(value)} {value.method} {value.url}>"
        if issubclass(cls, Response):
            return lambda value: f"<{name_of_type(value)} {value.status} {value.url}>"
        if issubclass(cls, Deferred):
            return str
        return self._fields_if_repeatable if self._is_item_class(cls) else _left_alone

    def _fields_if_repeatable(self, value: Any) -> Any:
        if self._serialized_fields(value if isinstance(value, Item) else ItemAdapter(value).adapter):
            raise _NotRepeatable
        return self._fields(value)

    def _simpler_once(self, value: Any) -> Any:
        if self._own is not None and (found := self._own(value)) is not NotImplemented:
            return found
        cls = type(value)
        return self._fields(value) if cls not in KNOWN and self._is_item_class(cls) else NotImplemented


def request_payload(
    request: Request, response: Response | None, duration: float, fingerprint: Any, now: datetime
) -> bytes:
    """The record of one request as JSON; status 0 if no response came. `duration` in seconds.

    A fingerprint is bytes, as Scrapy has it; what else a fingerprinter gives is written as it is.
    """
    return serialize({
        "url": request.url,
        "status": 0 if response is None else response.status,
        "method": request.method,
        "duration": round(duration * 1000),
        "time": f"{now:%d/%m/%Y %H:%M:%S}.{now.microsecond // 1000:03d}",
        "response_size": 0 if response is None else len(response.body),
        "fingerprint": fingerprint.hex() if isinstance(fingerprint, bytes) else fingerprint,
    })  # fmt: skip


def _left_alone(_: Any) -> Any:
    return NotImplemented


def _rule_of_users(function: Callable[[Any], Any]) -> Rule:
    """The user's function, which may have forgotten to return: nothing is no answer."""
    rule = rule_of_function(function)

    def own(value: Any) -> Any:
        found = rule(value)
        return NotImplemented if found is None else found

    return own


def _metadata(adapter: Any, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (
        adapter.fields[name] if isinstance(adapter, Item) else adapter.get_field_meta(name)
    )
    return found
