"""Callers for tests: one with all permissions, and others as needed."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from token_authority_server.access.grants import Allowance
from token_authority_server.config.callers import TOKEN_TYPES, CallerSettings, GrantSettings
from token_authority_server.families import Dimension
from token_authority_server.identity.directory import LOCAL, Callers

ALL_ALLOWANCES: Final = tuple(get_args(Allowance))
EVERY_DIMENSION: Final[Mapping[str, Any]] = dict.fromkeys(get_args(Dimension), ("*",))
API_KEY: Final = "tak_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
API_KEY_IDENTITY: Final = f"api-key:sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()}"
LESSONS: Final = """
[[callers]]
name = "lessons"
identities = ["api-key:sha256:0000000000000000000000000000000000000000000000000000000000000000"]
[[callers.grants]]
name = "in-lessons"
project = "classroom"
tokens = ["rtc"]
roles = ["*"]
channels = ["lesson-*"]
users = ["uid:*"]
max_ttl = "1h"
default_ttl = "90s"
above_max_ttl = "clamp"
"""
"""A caller that may issue RTC tokens for its channels; a section to append to `serving.CONFIG`."""


def everything(project: str, **changes: Any) -> dict[str, Any]:
    """Returns a grant that allows everything, with some changes."""
    return {
        "name": f"all-of-{project}"[:63],
        "project": project,
        "tokens": tuple(TOKEN_TYPES),
        **EVERY_DIMENSION,
        "max_ttl": "3650d",
        "allow": ALL_ALLOWANCES,
        **changes,
    }


def grant(**changes: Any) -> dict[str, Any]:
    """Returns a grant for everything in the project `classroom`, with some changes."""
    return everything("classroom", **{"name": "all", **changes})


def caller(
    *grants: Mapping[str, Any],
    name: str = "tester",
    identities: Iterable[str] = (LOCAL,),
    **settings: Any,
) -> CallerSettings:
    """Returns a caller as the configuration creates it."""
    rows = tuple(GrantSettings.model_validate(dict(row)) for row in grants)
    return CallerSettings.model_validate(
        {"name": name, "identities": tuple(identities), "grants": rows, **settings}
    )


def callers(*rows: CallerSettings) -> Callers:
    """Returns the callers of a server."""
    return Callers(
        {row.name: row.caller() for row in rows},
        {identity: row.name for row in rows for identity in row.identity_texts},
    )


def all_powerful(projects: Iterable[str]) -> Callers:
    """Returns callers in which any local process may do everything."""
    return callers(caller(*map(everything, projects)))
