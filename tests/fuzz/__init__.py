"""Hostile batches: what no client of ours would send, through a real broker and past it."""
