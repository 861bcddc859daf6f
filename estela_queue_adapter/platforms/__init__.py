"""The platforms that come with the package."""
