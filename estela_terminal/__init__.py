"""What the commands print and how they end. Imports nothing else of this project."""
