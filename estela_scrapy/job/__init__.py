"""One crawl as a job: its identity, the number of its run, its stats and its log."""
