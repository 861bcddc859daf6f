"""The consumer side: from the queue into the store."""
