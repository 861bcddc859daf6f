"""From the bytes of a fetch to our messages."""
