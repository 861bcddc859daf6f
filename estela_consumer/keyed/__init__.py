"""What becomes of a document when another version of it comes. Pure: no store, no clock."""
