"""How a consumer group, its jobs and its store stand: collected without taking part, and shown."""
