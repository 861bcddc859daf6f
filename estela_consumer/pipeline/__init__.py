"""The way of a topic into the store: poll, decode, gather, write, commit."""
