"""What crawl and consumer must agree on, each in one place.

The ids of messages, jids, topics, datasets, headers, the envelope and the closing record.
"""
