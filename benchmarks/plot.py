"""A bar chart as SVG, with nothing but text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.measuring import Sample, rates

_COLOURS = ("#2563eb", "#93c5fd", "#64748b", "#ea580c", "#fdba74", "#16a34a")
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 760, 150, 90, 16, 26


def chart(
    groups: Sequence[tuple[str, Mapping[str, Sequence[Sample]]]], titles: Mapping[str, str]
) -> str:
    """Requests per second: a group of bars for each workload, a bar for each server.

    A bar is the median; the line over it goes from the least to the greatest.

    :param groups: workloads' titles and their results.
    :param titles: of the servers, by key, in the order of their colours.
    """
    most = max(
        (rates(samples).high for _, results in groups for samples in results.values()), default=1.0
    )
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    colours = dict(zip(titles, _COLOURS, strict=False))
    shapes, y = [], 16
    for title, results in groups:
        shapes.append(f'<text x="8" y="{y + 4}" font-weight="bold">{escape(title)}</text>')
        y += 14
        for key, samples in results.items():
            spread = rates(samples)
            middle, width, colour = y + _BAR / 2, spread.middle * scale, colours[key]
            low, high = (_LEFT + figure * scale for figure in (spread.low, spread.high))
            shapes += [
                f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(titles[key])}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 3}" fill="{colour}"/>',
                f'<path d="M{low:.1f} {middle - 1.5}H{high:.1f}" stroke="#111827"/>',
                f'<text x="{high + 6:.1f}" y="{middle + 4}">{spread.middle:,.0f}</text>',
            ]
            y += _BAR
        y += _GAP
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" '
        'font-family="sans-serif" font-size="12" fill="#111827" role="img">\n'
        "<title>Requests per second</title>\n"
        f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
