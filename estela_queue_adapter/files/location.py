"""Where a file is whose name is relative."""

from __future__ import annotations

import os
from pathlib import Path

_OURS = ".estela"
_PROJECT_MARK = "scrapy.cfg"


def project_folder() -> Path | None:
    """The nearest folder with a scrapy.cfg, here or above, as Scrapy finds it; None if there is none.

    Raises OSError if the working directory was removed.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if os.path.exists(folder / _PROJECT_MARK):  # pathlib's raises if the folder may not be looked into
            return folder
    return None


def located(path: str | Path) -> Path:
    """The file, absolute. A relative name counts from the working directory.

    But a Scrapy project has one folder `.estela`, beside its scrapy.cfg like Scrapy's own `.scrapy`: a crawl
    and a command that are started in two of its folders mean the same queue.

    Raises OSError if the working directory was removed, and RuntimeError for `~` of nobody.
    """
    named = Path(path).expanduser()
    if named.parts[:1] == (_OURS,) and (folder := project_folder()) is not None:
        return folder / named
    return named.absolute()
