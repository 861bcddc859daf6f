"""The project's settings. The one line that publishes the crawl is EXTENSIONS."""

BOT_NAME = "shop"
SPIDER_MODULES = ["estela_demo.shop.spiders"]

EXTENSIONS = {
    "estela_scrapy.QueueExtension": 500,
    "estela_demo.shop.stats_file.StatsFile": 900,
}

# The shop is on this machine, so there is nobody to be polite to.
ROBOTSTXT_OBEY = False
CONCURRENT_REQUESTS_PER_DOMAIN = 16
TELNETCONSOLE_ENABLED = False
LOG_LEVEL = "INFO"
