"""The table and the plot of compare.py."""

import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
Rounds = Mapping[str, Sequence[Mapping[str, float]]]
"""What each round measured, by the server's name."""
COST: Final = "cpu_us_per_token"
COLUMNS: Final = {
    COST: "CPU per token, µs",
    "tokens_per_second": "tokens/s",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "rss_mib": "RSS, MiB",
    "start_ms": "start to first token, ms",
}
OURS: Final = "token authority"
LEFT, WIDTH, ROW = 330, 430, 24
PAGE: Final = """# What one token costs

Written by `make bench-peers` ({rounds} interleaved rounds) on {date}: {machine}.

![CPU per token](compare.svg)

{table}

Medians of the rounds, with the smallest and largest; every round is in `compare.json`. Each server
runs alone and issues the same RTC token. *CPU* is the user and system time of the server's
processes, as the kernel accounts it, without the client's. *tokens/s* is at saturation, with 8
connections and 8 calls in flight on each (one over HTTP/1.1); *p50* and *p99* are the latencies of
calls at half of that rate. *Fully deployed* has TLS, an API key, a grant, limits, and an audit
trail on the disk that is required and synchronised; *plain* has none of these. The rows of other
libraries have no authentication, limits, log or audit trail. The echo signs nothing: it is what
grpc.aio itself costs.

The table does not show a network, a client that is not native, many callers or projects, or more
cores than this machine has: client and server share them, so that two instances gain less than they
would on a larger machine (`make bench-instances`).
"""


def table(rounds: Rounds) -> str:
    """Returns medians with the smallest and largest round, as Markdown."""
    lines = [
        "| server | " + " | ".join(COLUMNS.values()) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    for name, measured in rounds.items():
        cells = []
        for column in COLUMNS:
            low, middle, high = spread(measured, column)
            digits = 1 if high < 20 else 0
            cells.append(f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(measured: Sequence[Mapping[str, float]], column: str) -> tuple[float, float, float]:
    """Returns the smallest, the median and the largest value."""
    values = [one[column] for one in measured]
    return min(values), statistics.median(values), max(values)


def plot(rounds: Rounds) -> str:
    """Returns a bar for each server's CPU per token, with a line from smallest to largest."""
    costs = {name: spread(measured, COST) for name, measured in rounds.items()}
    scale = WIDTH / max(high for _, _, high in costs.values())
    height = ROW * (len(costs) + 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{height}" '
        'font-family="sans-serif" font-size="13" fill="#6e7781">',
        f'<text x="{LEFT}" y="{ROW - 7}">µs of server CPU per RTC token (less is better)</text>',
    ]
    for number, (name, (low, middle, high)) in enumerate(costs.items(), 1):
        top = number * ROW + 4
        colour = "#0969da" if name.startswith(OURS) else "#afb8c1"
        text = top + 13
        lines += [
            f'<text x="{LEFT - 8}" y="{text}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{middle * scale:.1f}" height="16" '
            f'fill="{colour}"/>',
            f'<path d="M{LEFT + low * scale:.1f} {top + 8}H{LEFT + high * scale:.1f}" '
            'stroke="#24292f" stroke-width="2"/>',
            f'<text x="{LEFT + high * scale + 6:.1f}" y="{text}">{middle:.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def _kernel() -> str:
    return ".".join(platform.release().split(".")[:2])


def machine() -> str:
    """Describes the machine: processor, cores, system, Python and grpcio."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = found[1] if found else platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()} {_kernel()}, "
        f"Python {platform.python_version()}, grpcio {version('grpcio')}"
    )


def write(rounds: Rounds) -> None:
    """Replaces the page, the plot and the rounds beside this module."""
    count = len(next(iter(rounds.values())))
    date = datetime.now(UTC).date().isoformat()
    page = PAGE.format(rounds=count, date=date, machine=machine(), table=table(rounds))
    (HERE / "COMPARISON.md").write_text(page)
    (HERE / "compare.svg").write_text(plot(rounds))
    (HERE / "compare.json").write_text(json.dumps(rounds, indent=1) + "\n")
