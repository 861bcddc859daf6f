"""The topics that both sides know."""

from __future__ import annotations

import hashlib

from estela_queue_adapter.topic_names import MAX_LENGTH

ITEMS_TOPIC = "items_topic"
REQUESTS_TOPIC = "requests_topic"
JOBS_TOPIC = "jobs_topic"
"""Where closing records go."""
STATS_TOPIC = "job_stats"
"""estela's name. Its messages become one document a job, the jobs of a project in one collection."""
LOGS_TOPIC = "job_logs"
"""estela's name."""

DEAD_LETTERS_SUFFIX = "_dead_letters"

_HASH = 16  # hex digits that tell shortened names apart


def dead_letter_topic(topic: str) -> str:
    """Where the dead letters of `topic` go: a name that a broker takes, and no other topic's."""
    if len(topic) + len(DEAD_LETTERS_SUFFIX) <= MAX_LENGTH:
        return f"{topic}{DEAD_LETTERS_SUFFIX}"
    digest = hashlib.sha256(topic.encode(errors="surrogateescape")).hexdigest()[:_HASH]
    kept = topic[: MAX_LENGTH - len(DEAD_LETTERS_SUFFIX) - _HASH - 1]
    return f"{kept}-{digest}{DEAD_LETTERS_SUFFIX}"
