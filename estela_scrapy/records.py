"""What is published while a crawl runs: its items, and a record of each request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.http import Response

from estela_queue_adapter.serialization.writing import Converted, Unwritable
from estela_scrapy.failures import ConversionLog, FailureLog, UnkeyedLog, cut, page_of
from estela_scrapy.payloads import ItemSerializer, request_payload
from estela_scrapy.routing.item_streams import ItemStream, ItemStreams
from estela_scrapy.routing.stream import Stream


class ItemRecords:
    """Publishes items. Whatever goes wrong with one costs it alone, and is logged and counted.

    Lives on the reactor's thread alone.
    """

    def __init__(
        self,
        streams: ItemStreams,
        serializer: Callable[[Any], Any] | None,
        failures: FailureLog,
        conversions: ConversionLog,
        unkeyed: UnkeyedLog,
        types: str,
    ) -> None:
        """`serializer` is the user's function for values that are not JSON; `types` as the setting has it."""
        self._streams = streams
        self._has_one = streams.has_one
        self._default = streams.default
        self._serializer = ItemSerializer(serializer, types)
        self._failures = failures
        self._conversions = conversions
        self._unkeyed = unkeyed

    def publish(self, item: Any, response: Response | None, spider: Spider) -> None:
        """Publish the item as it is now. Never blocks; raises only what ends the process."""
        converted: list[Converted] = []
        stream = self._default
        try:
            if not self._has_one:
                stream = self._streams.of(item)
            if stream.is_plain:
                payload = self._serializer.serialize(item, converted)
            elif stream.accepts(item):
                payload = self._payload(stream, item, converted, response, spider)
            else:
                return
            stream.publish(payload, response.url if stream.has_metadata and response is not None else None)
        except BaseException as error:  # an item brings code of its own
            stream.failed += 1
            self._failures.add("Item", item, error, page_of(response), spider)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return
        if converted:
            self._conversions.add(item, converted, page_of(response), spider)

    def _payload(
        self,
        stream: ItemStream,
        item: Any,
        converted: list[Converted],
        response: Response | None,
        spider: Spider,
    ) -> bytes:
        """That of an item whose route has a key or a selection of fields."""
        fields = stream.selected(self._serializer.fields_of(item))
        payload = self._serializer.write(fields, converted)
        if missing := stream.missing_key(fields, payload):
            self._unkeyed.add(item, missing, page_of(response), spider)
        return payload


class RequestRecords:
    """Publishes a record of each request that has reached the downloader, and how long it was there.

    Lives on the reactor's thread alone.
    """

    def __init__(self, stream: Stream, crawler: Crawler, failures: FailureLog) -> None:
        self._stream = stream
        self._crawler = crawler
        self._failures = failures
        self._in_downloader: WeakKeyDictionary[Request, float] = WeakKeyDictionary()

    def sent(self, request: Request) -> None:
        """Note when a request went out."""
        self._in_downloader[request] = monotonic()

    def answered(self, request: Request, response: Response) -> None:
        """Publish its record. Never blocks; raises only what ends the process."""
        self._publish(request, response)

    def ended(self, request: Request) -> None:
        """Publish its record if no answer came. Never blocks; raises only what ends the process."""
        if request in self._in_downloader:
            self._publish(request, None)

    def _publish(self, request: Request, response: Response | None) -> None:
        began = self._in_downloader.pop(request, None)
        duration = 0.0 if began is None else monotonic() - began
        try:
            fingerprint = self._fingerprint(request)
            payload = request_payload(request, response, duration, fingerprint, datetime.now(timezone.utc))
            self._stream.publish(payload)
        except BaseException as error:  # a record costs itself alone, as an item does
            self._stream.failed += 1
            page = cut(str(request.url))
            self._failures.add("Record of a request", request, error, page, self._crawler.spider)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise

    def _fingerprint(self, request: Request) -> Any:
        try:
            return self._crawler.request_fingerprinter.fingerprint(request)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise Unwritable("fingerprint", error) from error
