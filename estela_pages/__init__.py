"""A small HTTP server for pages that can only be looked at. Imports nothing else of this project."""
