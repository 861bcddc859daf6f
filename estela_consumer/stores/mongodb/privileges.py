"""What MongoDB says of our login's privileges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from estela_consumer.stores.interface import StoreAccess

_NEEDED = frozenset({"find", "insert"})
"""To write documents and to read them back. Who may insert may create the collection too."""


def access_of(status: Mapping[str, Any]) -> StoreAccess:
    """From the `authInfo` of connectionStatus. Privileges on single collections are not counted."""
    actions: defaultdict[str, set[str]] = defaultdict(set)
    for privilege in status["authenticatedUserPrivileges"]:
        resource = privilege["resource"]
        if resource.get("anyResource") or (resource.get("collection") == "" and "db" in resource):
            actions[resource.get("db", "")].update(privilege["actions"])
    everywhere = actions.pop("", set())
    user = status["authenticatedUsers"][0]
    name = f"{user['user']}@{user['db']}"
    if everywhere >= _NEEDED:
        return StoreAccess(name)
    return StoreAccess(name, tuple(sorted(db for db in actions if actions[db] | everywhere >= _NEEDED)))
