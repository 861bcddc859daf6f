"""The commands: arguments, a docstring and one call each."""
