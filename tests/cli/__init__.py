"""Tests of `estela-scrapy`."""
