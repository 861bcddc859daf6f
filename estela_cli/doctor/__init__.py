"""`estela-scrapy doctor`: what is configured, from where, and whether it works."""
