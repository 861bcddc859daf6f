"""The queue adapter: its contract on every platform, its settings, its serialization."""
