"""Where the commands' settings come from: options, environment, `.env` file, Scrapy project."""
