"""A Scrapy project that crawls the small shop it brings along."""
