"""A shop's web site, a Scrapy project that crawls it, and the whole flow in one go."""
