"""Plots of costs against sizes, both logarithmic, as one SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH, HEIGHT, MARGIN = 220, 130, 60
COLUMNS: Final = 3


def plot(measured: Mapping[str, Mapping[int, float]], units: Mapping[str, str]) -> str:
    """Returns a panel for each cost; the dashed line is what linear growth would be."""
    rows = math.ceil(len(measured) / COLUMNS)
    width, height = COLUMNS * (WIDTH + MARGIN), rows * (HEIGHT + MARGIN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#6e7781">'
    ]
    for number, (name, costs) in enumerate(measured.items()):
        left = number % COLUMNS * (WIDTH + MARGIN) + MARGIN // 2
        top = number // COLUMNS * (HEIGHT + MARGIN) + MARGIN // 2
        lines += _panel(f"{name} ({units[name]})", list(costs.items()), left, top)
    return "\n".join([*lines, "</svg>", ""])


def _panel(title: str, points: Sequence[tuple[int, float]], left: int, top: int) -> list[str]:
    (first, low), (last, _) = points[0], points[-1]
    decades_x = math.log10(last / first)
    # From the smallest cost up to linear growth from there, or to what was measured.
    least = min(cost for _, cost in points)
    most = max(*(cost for _, cost in points), low * last / first)
    decades_y = math.log10(most / least) or 1

    def place(size: float, cost: float) -> str:
        x = left + math.log10(size / first) / decades_x * WIDTH
        y = top + HEIGHT - math.log10(cost / least) / decades_y * HEIGHT
        return f"{x:.1f},{y:.1f}"

    path = " ".join(place(size, cost) for size, cost in points)
    linear = f"{place(first, low)} {place(last, low * last / first)}"
    return [
        f'<text x="{left}" y="{top - 8}">{escape(title)}</text>',
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        'stroke="#d0d7de"/>',
        f'<polyline points="{linear}" fill="none" stroke="#afb8c1" stroke-dasharray="4"/>',
        f'<polyline points="{path}" fill="none" stroke="#0969da" stroke-width="2"/>',
        f'<text x="{left}" y="{top + HEIGHT + 14}">{first:,}: {low:.3g}</text>',
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">'
        f"{last:,}: {points[-1][1]:.3g}</text>",
    ]
