"""Tests of where commands find their settings."""
