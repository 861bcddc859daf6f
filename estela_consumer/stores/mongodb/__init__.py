"""MongoDB, through pymongo. Nothing outside this package uses its client."""

from estela_consumer.stores.mongodb.store import MongoStore

__all__ = ["MongoStore"]
