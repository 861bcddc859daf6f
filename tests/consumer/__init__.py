"""The consumer: its rules one by one, then the real command on real servers."""
