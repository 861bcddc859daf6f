"""`python -m estela_cli` is `estela-scrapy`, where its script is not on the path."""

from estela_cli.main import main

main()
