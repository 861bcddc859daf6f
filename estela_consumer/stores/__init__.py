"""Where documents go: one contract, a store for each URL scheme."""

from estela_consumer.stores.interface import Outcome, Store, StoreAccess, Summary, Verdict
from estela_consumer.stores.opening import StoreSettings, open_store

__all__ = ["Outcome", "Store", "StoreAccess", "StoreSettings", "Summary", "Verdict", "open_store"]
