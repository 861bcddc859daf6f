"""From what is stored and what has come to what is to be written, for each way to treat what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bson

from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document, too_large
from estela_consumer.errors import BadMessage, Reason
from estela_consumer.keyed.keeping import plan_keep, plan_replace
from estela_consumer.keyed.plans import Plan
from estela_consumer.keyed.stored import StoredDocument
from estela_consumer.keyed.tracking import plan_track
from estela_consumer.keyed.updating import plan_update
from estela_wire.keys import OnExisting

_PLANS: dict[OnExisting, Callable[[StoredDocument | None, Sequence[Document]], Plan]] = {
    OnExisting.KEEP: plan_keep,
    OnExisting.REPLACE: plan_replace,
    OnExisting.UPDATE: plan_update,
    OnExisting.TRACK: plan_track,
}
NEEDS_CONTENT = frozenset({OnExisting.UPDATE, OnExisting.TRACK})
"""The modes that look at the content of what is stored."""


def make_plan(mode: OnExisting, stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """What to write so that the document of one key takes in `documents`, which all have that key.

    Doing it again changes nothing, and the order in which versions come makes no difference. Raises
    NotKeyed, and BadMessage if the document would be one that no store takes.
    """
    try:
        plan = _PLANS[mode](stored, documents)
    except (bson.errors.BSONError, OverflowError, SystemError) as error:
        text = f"not a BSON value together with what is stored: {error}"
        raise BadMessage(Reason.BAD_VALUE, text) from error
    if plan.document is not None and len(plan.document) > MAX_DOCUMENT_BYTES:
        raise too_large(len(plan.document))
    return plan
