"""From the bytes of a message to the bytes of a document: envelope, dataset, identity, document."""
