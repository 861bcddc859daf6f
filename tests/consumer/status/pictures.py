"""Pictures of the page in five states: `python -m tests.consumer.status.pictures FOLDER`.

Each in light and in dark, and in the width of a phone. docs/status-outage.png is `outage.png` of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.consumer.status.browser import screenshot
from tests.consumer.status.serving import served
from tests.consumer.status.states import STATES


def main(folder: Path) -> None:
    """Draw all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with served(**STATES) as url:
        for name in STATES:
            screenshot(f"{url}/{name}", folder / f"{name}.png", height=900)
            screenshot(f"{url}/{name}", folder / f"{name}-dark.png", height=900, dark=True)
            screenshot(f"{url}/{name}/400", folder / f"{name}-phone.png", width=500, height=1_800)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
