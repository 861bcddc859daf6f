"""What happens to the queue under a crawl, a function each."""

from __future__ import annotations

import time

from tests.faults.crawl_world import CrawlWorld
from tests.faults.fault import Fault

_FROZEN, _THAWED = 0.45, 0.05  # seconds: a broker that works a tenth of the time


def away_at_the_start(world: CrawlWorld) -> None:
    """The crawl is half done when the broker comes."""
    world.broker.stop()
    crawl = world.start_crawl(60)
    world.scraped(crawl, 0.5)
    world.broker.start()
    world.finish(crawl)


def away_in_the_middle(world: CrawlWorld) -> None:
    """Stopped for 60 s, and started again long before the end."""
    crawl = world.start_crawl(120)
    world.scraped(crawl, 0.2)
    world.broker.stop()
    time.sleep(world.seconds(60))
    world.broker.start()
    world.finish(crawl)


def away_at_the_end(world: CrawlWorld) -> None:
    """The crawl ends without the broker; `estela-outbox send` brings the rest."""
    crawl = world.start_crawl(60, ESTELA_CLOSE_TIMEOUT=2)
    world.scraped(crawl, 0.5)
    world.broker.stop()
    world.finish(crawl)
    world.broker.start()
    world.send_outbox()


def slower_than_the_crawl(world: CrawlWorld) -> None:
    """The broker is held most of the time, and the outbox is small, so that the crawl must wait."""
    crawl = world.start_crawl(5, ESTELA_OUTBOX_MAX_BYTES=1_000_000)
    while crawl.process.poll() is None:
        world.broker.freeze()
        time.sleep(_FROZEN)
        world.broker.thaw()
        time.sleep(_THAWED)
    world.finish(crawl)


def crawl_killed(world: CrawlWorld) -> None:
    """Some of them while the broker is away; each goes on where the one before was killed."""
    for number in range(times := max(2, world.times(10))):
        away = number % 2 == 1
        if away:
            world.broker.stop()
        crawl = world.start_crawl(200 / times, 3 / times, ESTELA_OUTBOX="always")
        world.scraped(crawl, world.chance.uniform(0.4, 0.9))
        world.kill(crawl)
        if away:
            world.broker.start()
    world.send_outbox()


CRAWL_FAULTS = {
    "crawl-broker-away-at-start": Fault(
        "a crawl: the broker away for its first half", away_at_the_start, CrawlWorld
    ),
    "crawl-broker-away": Fault(
        "a crawl: the broker away for 60 s in its middle", away_in_the_middle, CrawlWorld
    ),
    "crawl-broker-away-at-end": Fault(
        "a crawl: the broker away at its end, the outbox sent afterwards", away_at_the_end, CrawlWorld
    ),
    "crawl-slow-broker": Fault(
        "a crawl: a broker far slower than it, an outbox of 1 MB", slower_than_the_crawl, CrawlWorld
    ),
    "crawl-killed": Fault(
        "a crawl killed with -9, 10 times, with the broker there and away, `ESTELA_OUTBOX=always`",
        crawl_killed,
        CrawlWorld,
    ),
}
