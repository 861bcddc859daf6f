"""From the bytes of a message to a document, in one walk: bytes, envelope, dataset, identity, document."""
