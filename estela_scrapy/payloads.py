"""From an item or a request to the payload that travels. Nothing here touches the network or the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from itemadapter import ItemAdapter
from scrapy.http import Request, Response
from scrapy.utils.serialize import ScrapyJSONEncoder

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import serialize

_encode_as_scrapy = ScrapyJSONEncoder().default


class ItemSerializer:
    """Items of every kind that itemadapter knows, written as Scrapy's JSON feed writes them."""

    def __init__(self) -> None:
        self._serializers: dict[type, dict[str, Callable[[Any], Any]]] = {}

    def serialize(self, item: Any) -> bytes:
        """The item as JSON; raises SerializationError that names the class and the field."""
        fields = item if type(item) is dict else self._fields(item)
        try:
            return serialize(fields, _encode_as_scrapy)
        except SerializationError as error:
            where, value = _offender(fields)
            raise SerializationError(
                f"{type(item).__name__}: {where} is a {type(value).__name__}, which is no JSON ({error})"
            ) from error

    def _fields(self, item: Any) -> dict[str, Any]:
        adapter = ItemAdapter(item)
        fields = dict(adapter.items())
        for name, serializer in self._serializers_of(adapter).items():
            if name in fields:
                fields[name] = serializer(fields[name])
        return fields

    def _serializers_of(self, adapter: ItemAdapter) -> dict[str, Callable[[Any], Any]]:
        """The `serializer` that a field's metadata may name, as Scrapy's exporters know it."""
        cls = type(adapter.item)
        if cls not in self._serializers:
            self._serializers[cls] = {
                name: serializer
                for name in adapter.field_names()
                if (serializer := adapter.get_field_meta(name).get("serializer")) is not None
            }
        return self._serializers[cls]


def request_payload(
    request: Request, response: Response | None, duration: float, fingerprint: bytes, now: datetime
) -> bytes:
    """The record of one request as JSON; status 0 where no response came. `duration` in seconds."""
    return serialize({
        "url": request.url,
        "status": 0 if response is None else response.status,
        "method": request.method,
        "duration": round(duration * 1000),
        "time": f"{now:%d/%m/%Y %H:%M:%S}.{now.microsecond // 1000:03d}",
        "response_size": 0 if response is None else len(response.body),
        "fingerprint": fingerprint.hex(),
    })  # fmt: skip


def _offender(value: Any, path: str = "") -> tuple[str, Any]:
    """The innermost part that cannot be serialised, and the way to it, such as `field price.amounts[3]`."""
    if isinstance(value, dict):
        parts = [(f"{path}.{key}" if path else f"field {key}", part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{path}[{number}]", part) for number, part in enumerate(value)]
    else:
        parts = []
    for where, part in parts:
        try:
            serialize(part, _encode_as_scrapy)
        except SerializationError:
            return _offender(part, where)
    return path or "the item", value
