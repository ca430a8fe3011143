"""A process that records until it is killed, and prints the number of each answered record."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from audit.trails import CHAIN_ID, Reports, issued
from token_authority_server.audit import AuditTrail, FileSink


async def main() -> None:
    """Records, many at a time so that a kill may meet a large write."""
    reports = Reports()
    trail = AuditTrail(
        [FileSink(Path(sys.argv[1]), "never", CHAIN_ID)],
        required=True,
        clock=reports.clock,
        on_failure=reports.failures.append,
        on_recovery=lambda: None,
    )
    for first in count(0, 10):
        await trail.record([issued(number) for number in range(first, first + 10)])
        sys.stdout.write(f"{first + 9}\n")
        sys.stdout.flush()


asyncio.run(main())
