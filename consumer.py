"""`python consumer.py TOPIC`, as estela's chart starts its consumer: `estela-consume TOPIC`."""

from estela_consumer.cli.consume import main

if __name__ == "__main__":
    main()
