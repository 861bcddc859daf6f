"""Where what a crawl publishes goes: layouts, the entries of ESTELA_ITEMS, and which takes an item."""
