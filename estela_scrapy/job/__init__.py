"""One crawl as a job: who it is, which of its runs this is, what its stats and its log say."""
