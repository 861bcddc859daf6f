"""The extension, in real crawls of a local site."""
