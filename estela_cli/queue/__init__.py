"""`estela-queue`: the queue as its operator sees it."""
