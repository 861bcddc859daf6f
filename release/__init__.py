"""How a release is made and checked. Not installed, but in the sdist: setup.py reads what is here."""
