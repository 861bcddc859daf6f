"""Benches: each one command, each with both sides measured in one run, in turns."""
