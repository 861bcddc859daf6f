"""What differs between the versions of Scrapy that are supported. Each part says when it can go.

`estela_scrapy` imports it first, so that a Scrapy that is too old is refused before anything is missed in it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import scrapy
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

LOWEST = (2, 11)
_LOOK = 0.01  # seconds between two looks whether an engine has started

T = TypeVar("T")


def check_scrapy() -> None:
    """Exit with 1 and one line if Scrapy is older than what is supported.

    Of any other error Scrapy makes a traceback, or none at all and crawls without the extension.
    """
    if scrapy.version_info < LOWEST:
        lowest = ".".join(map(str, LOWEST))
        raise SystemExit(
            f"estela-scrapy needs Scrapy {lowest} or later, and Scrapy {scrapy.__version__} is installed: "
            f'nothing is crawled. To upgrade it: pip install "scrapy>={lowest}"'
        )


def twisted_too_new() -> str:
    """What to do if this Scrapy cannot run with this Twisted, else nothing.

    Scrapy 2.16 can; only some of those before let pip know that they cannot, and all end with a traceback.
    """
    twisted = version("twisted")
    if scrapy.version_info >= (2, 16) or tuple(map(int, twisted.split(".")[:2])) <= (25, 5):
        return ""
    return (
        f"Scrapy {scrapy.__version__} cannot run with Twisted {twisted}. Install an older one: "
        'pip install "twisted<=25.5"; or Scrapy 2.16 or later'
    )


def call_later(delay: float, function: Callable[[], object]) -> None:
    """Call `function` in `delay` seconds on the reactor's thread. Below 2.14 Scrapy has none of its own."""
    if scrapy.version_info >= (2, 14):
        from scrapy.utils.asyncio import call_later

        call_later(delay, function)
    else:
        from twisted.internet import reactor

        later: Any = reactor
        later.callLater(delay, function)


def looping_call(interval: float, function: Callable[[], object]) -> Callable[[], None]:
    """Call `function` every `interval` seconds on the reactor's thread, until what is returned is called.

    Below 2.14 Scrapy has none of its own.
    """
    if scrapy.version_info >= (2, 14):
        from scrapy.utils.asyncio import create_looping_call

        loop: Any = create_looping_call(function)
    else:
        from twisted.internet.task import LoopingCall

        loop = LoopingCall(function)
    loop.start(interval, now=False)

    def stop() -> None:
        if loop.running:
            loop.stop()

    return stop


async def run_in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call `function` in a thread of the reactor's pool. Below 2.15 Scrapy has none of its own."""
    if scrapy.version_info >= (2, 15):
        from scrapy.utils.asyncio import run_in_thread

        return await run_in_thread(function, *args)
    from scrapy.utils.defer import maybe_deferred_to_future
    from twisted.internet.threads import deferToThread

    return await maybe_deferred_to_future(deferToThread(function, *args))


def refuse(crawler: Crawler, reason: str) -> None:
    """Close the spider before its first request. Called by a handler of `spider_opened`.

    Below 2.18 Scrapy logs what such a handler raises and goes on.
    """
    if scrapy.version_info >= (2, 18):
        raise CloseSpider(reason)
    _refuse_once_started(crawler, reason)


def _refuse_once_started(crawler: Crawler, reason: str) -> None:
    """Let the engine start with nothing to do: below 2.18 it would hang if it were closed before."""
    engine: Any = crawler.engine
    engine.pause()
    if scrapy.version_info >= (2, 13):
        engine._start = None
    else:
        engine.slot.start_requests = None

    def close() -> None:
        if not engine.running:
            if crawler.crawling:  # it still may
                call_later(_LOOK, close)
        elif scrapy.version_info >= (2, 14):
            from scrapy.utils.defer import deferred_from_coro

            deferred_from_coro(engine.close_spider_async(reason=reason))
        else:
            engine.close_spider(crawler.spider, reason)

    close()


def slot_of(engine: Any) -> Any:
    """What the engine knows of its open spider, or None. Below 2.13 it was public."""
    return engine._slot if scrapy.version_info >= (2, 13) else engine.slot


def module_of_start(crawler: Crawler) -> str:
    """The name of the module of what yields the first requests. Below 2.13 it is `start_requests`."""
    name = "start" if scrapy.version_info >= (2, 13) else "start_requests"
    return str(getattr(getattr(crawler.spider or crawler.spidercls, name, None), "__module__", ""))


def add_extension(settings: BaseSettings, extension: type, order: int) -> None:
    """Add it to the project's, unless it is there. Below 2.13 Scrapy has no function for it."""
    if scrapy.version_info >= (2, 13):
        settings.setdefault_in_component_priority_dict("EXTENSIONS", extension, order)
    elif extension not in map(load_object, settings.getdict("EXTENSIONS")):
        settings["EXTENSIONS"][extension] = order
