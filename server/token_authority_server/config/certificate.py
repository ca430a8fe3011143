"""Whether the server's TLS certificate has expired or soon will. Pure."""

from datetime import datetime, timedelta
from typing import Final

WARNING_TIME: Final = timedelta(days=14)
"""How long before a certificate expires the warnings begin."""


def certificate_problem(not_after: datetime, now: datetime) -> str:
    """Returns what is wrong with a certificate and what to do; "" if nothing is."""
    if now > not_after:
        return f"the certificate expired on {_shown(not_after)}: renew it"
    if now > not_after - WARNING_TIME:
        return f"the certificate expires on {_shown(not_after)}: renew it"
    return ""


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%d at %H:%M UTC")
