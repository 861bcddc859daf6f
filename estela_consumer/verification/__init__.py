"""Whether all that a job has scraped and published is stored."""
