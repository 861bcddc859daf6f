"""Messages that cannot be stored: how they are put aside, read back and replayed."""
