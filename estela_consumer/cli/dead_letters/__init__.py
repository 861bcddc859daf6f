"""`estela-dead-letters`."""
