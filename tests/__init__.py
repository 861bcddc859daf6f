"""The tests. Kafka and MongoDB are the real ones, see `devservers`."""
