"""The part of the metadata that is made of other files. All else is in setup.cfg."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent))  # a build has it nowhere

from release.description import long_description
from release.project import Project

PROJECT = Project.read()

setup(
    long_description=long_description(PROJECT),
    long_description_content_type="text/markdown",
    project_urls=PROJECT.urls(),
)
