"""Layouts: which collections a crawl's documents go to if no template says so."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from estela_scrapy.setting_sources import is_estelas_job
from estela_wire.topics import STATS_TOPIC

CLASS = "{class}"
"""What stands for an item's class in a template."""


class Layout(enum.Enum):
    """What a collection stands for."""

    JOB = "job"  # one job's stream, as estela has it
    SPIDER = "spider"  # all that a spider has ever scraped
    CLASS = "class"  # all items of a class, whichever spider scraped them

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> Layout:
        """estela's own for a job of estela's."""
        return cls.JOB if is_estelas_job(environ) else cls.SPIDER

    @property
    def is_shared(self) -> bool:
        """Whether several jobs share a collection."""
        return self is not Layout.JOB

    def items(self, item_class: str) -> str:
        """The template of the collection of items; empty if the consumer names it after the job.

        A plain dict has no class of its own to be called after.
        """
        if self is Layout.CLASS and item_class != dict.__name__:
            return CLASS
        return "{spider}" if self.is_shared else ""

    def beside_items(self, stream: str, topic: str) -> str:
        """The same for `requests`, `stats` or `logs`.

        No spider's name has a dot here, so none of these is another spider's collection. The stats of
        STATS_TOPIC are one document a job in a collection of their own, in every layout.
        """
        return f"{{spider}}.{stream}" if self.is_shared and topic != STATS_TOPIC else ""
