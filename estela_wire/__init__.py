"""What crawl and consumer must agree on, each told once: ids, names, headers and the closing record."""
