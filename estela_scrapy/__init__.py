"""The Scrapy side: an extension that publishes items and requests."""
