"""The drain as a picture: one bar for each side, with its spread."""

from __future__ import annotations

from html import escape

from bench.outcome import Outcome

_WIDTH, _LEFT, _BAR, _GAP, _TOP = 960, 440, 26, 14, 44  # pixels
_COLOURS = ("#1a7f5a", "#4fa887", "#8a8f98", "#8a8f98", "#c2703d", "#c2703d")


def svg(drain: Outcome) -> str:
    """For docs/performance.svg."""
    sides = [side for side in drain.sides if side.unit == "documents a second"]
    largest = max(max(side.values) for side in sides)
    scale = (_WIDTH - _LEFT - 90) / largest
    height = _TOP + len(sides) * (_BAR + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-weight="bold">Documents a second, {drain.messages:,} messages; the line '
        "is the spread of the rounds</text>",
    ]
    for number, (side, colour) in enumerate(zip(sides, _COLOURS, strict=False)):
        y = _TOP + number * (_BAR + _GAP)
        end, middle = _LEFT + side.median * scale, y + _BAR / 2
        low, high = _LEFT + min(side.values) * scale, _LEFT + max(side.values) * scale
        parts += [
            f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(side.name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#202020"/>',
            f'<text x="{max(end, high) + 8:.1f}" y="{middle + 4}">{side.median:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
