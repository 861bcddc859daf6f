"""The part of the metadata that is made of other files, and a whole sdist. All else is in setup.cfg."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

sys.path.insert(0, str(Path(__file__).parent))  # a build has it nowhere

from release.description import long_description
from release.project import Project

PROJECT = Project.read()


class WholeSdist(sdist):  # type: ignore[misc]  # setuptools ships no types
    """An sdist with setup.cfg as it is: setuptools writes it anew, and the tests read it."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy it over what setuptools has written."""
        super().make_release_tree(base_dir, files)
        shutil.copy(PROJECT.root / "setup.cfg", base_dir)


setup(
    cmdclass={"sdist": WholeSdist},
    long_description=long_description(PROJECT),
    long_description_content_type="text/markdown",
    project_urls=PROJECT.urls(),
)
