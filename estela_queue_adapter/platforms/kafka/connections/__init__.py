"""Connections to the brokers: how they are made, who logs in, and why one failed."""
