"""The commands of the side that crawls."""
