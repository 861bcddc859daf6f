"""The line of a topic's last quarter of an hour, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from estela_consumer.status.model import Sample

_WIDTH, _HEIGHT = 220, 44
_SECONDS = 900.0
_TOP, _BOTTOM = 3.0, 42.0
_SMALL_LAG = 10.0  # seconds of work, below which it shall look as small as it is


def chart(samples: Sequence[Sample]) -> Markup:
    """Lag as an area, rate as a line, each to a scale of its own, which is told below.

    Nothing that comes from outside is in it but numbers. Where the queue did not tell, there is a gap.
    """
    if len(samples) < 2:
        return Markup('<span class="key">no samples yet</span>')
    end = samples[-1].time
    lags = [(each.time - end, each.lag) for each in samples]
    rates = [(each.time - end, each.rate) for each in samples]
    most_lag = max((lag for _, lag in lags if lag is not None), default=0)
    most_rate = max((rate for _, rate in rates if rate is not None), default=0.0)
    scale = max(most_lag, _SMALL_LAG * most_rate)
    parts = [f'<line class="base" x1="0" y1="{_BOTTOM}" x2="{_WIDTH}" y2="{_BOTTOM}"/>']
    for points in _lines(lags, scale):
        first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
        area = " ".join([f"{first},{_BOTTOM}", *points, f"{last},{_BOTTOM}"])
        parts.append(f'<polygon class="area" points="{area}"/>')
        parts.append(f'<polyline class="lag" points="{" ".join(points)}"/>')
    parts += [f'<polyline class="rate" points="{" ".join(points)}"/>' for points in _lines(rates, most_rate)]
    label = f"lag up to {most_lag:,}, up to {most_rate:,.0f} messages a second"
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
        f'<span class="key"><b class="lag">lag</b> up to {most_lag:,} &middot; '
        f'<b class="rate">rate</b> up to {most_rate:,.0f}/s</span>'
    )


def _lines(values: Sequence[tuple[float, float | None]], most: float) -> Iterator[list[str]]:
    """The points of each stretch that is known."""
    points: list[str] = []
    for age, value in values:
        if value is not None and age >= -_SECONDS:
            x = _WIDTH * (1 + age / _SECONDS)
            y = _BOTTOM - (_BOTTOM - _TOP) * value / most if most else _BOTTOM
            points.append(f"{x:.1f},{y:.1f}")
        elif points:
            yield points
            points = []
    if points:
        yield points
