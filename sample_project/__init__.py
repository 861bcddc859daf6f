"""A Scrapy project and the small local shop it crawls."""
