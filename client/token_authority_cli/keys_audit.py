"""`token-authority keys --audit`: when the last token of each key expires. Offline."""

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from token_authority_cli.arguments import from_ms, now_ms
from token_authority_cli.audit_view import complain_of_report, print_report, report_unreadable
from token_authority_cli.output import as_json, at, complain
from token_authority_cli.server import complain_of_config
from token_authority_cli.terminal_text import visible

if TYPE_CHECKING:
    from token_authority_server.access.key_audit import AuditedKey
    from token_authority_server.audit import Report, TrailRecords
    from token_authority_server.keyring import SigningKey

_NO_CONFIG: Final = (
    "the trails do not show which keys still sign: name the configuration with --config to check "
    "their states and retired_at"
)
_EVERY_INSTANCE: Final = (
    "this is right only if the trails are those of every instance that signed, up to their last "
    "records: compare the last hashes with copies kept elsewhere"
)


def audit_keys(arguments: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        1 if a trail is broken, has no record or cannot be read, no key is found, or the one of
        `--key-id` is not safe to delete; 2 if the configuration is invalid; else 0.
    """
    return report_unreadable(lambda: _audit_keys(arguments))


def _audit_keys(arguments: argparse.Namespace) -> int:
    from token_authority_server import config  # noqa: PLC0415  # lazily, as in server
    from token_authority_server.access import key_audit  # noqa: PLC0415
    from token_authority_server.audit import read_trail  # noqa: PLC0415

    configured: list[tuple[str, SigningKey]] = []
    if arguments.config:
        try:
            keyring = config.load(arguments.config, os.environ).keyring()
        except config.ConfigError as error:
            return complain_of_config(error)
        configured = keyring.keys(keyring.project_names)
    now = now_ms()
    trails = [read_trail(files, now) for files in arguments.audit]
    keys = [
        key
        for key in key_audit.audit_keys(trails, now, configured)
        if arguments.project in ("", key.project) and arguments.key_id in ("", key.key_id)
    ]
    notes = [_EVERY_INSTANCE] if arguments.config else [_NO_CONFIG, _EVERY_INSTANCE]
    if arguments.json:
        reports = [trail.report for trail in trails]
        rows = [_json_row(key) for key in keys]
        print(as_json({"signing_keys": rows, "trails": reports, "notes": notes}))
    else:
        _show(keys, trails, notes)
    code = _exit_code(keys, [trail.report for trail in trails])
    is_safe = all(key.deletion == "safe" for key in keys)
    return 1 if arguments.key_id and not is_safe else code


def _exit_code(keys: "Sequence[AuditedKey]", reports: "Sequence[Report]") -> int:
    code = max([complain_of_report(report) for report in reports], default=0)
    if not keys:
        complain("no record of a signed token in these files")
        code = 1
    return code


def _show(
    keys: "Sequence[AuditedKey]", trails: "Sequence[TrailRecords]", notes: Sequence[str]
) -> None:
    for key in keys:
        product = f"{key.product} key" if key.product else "key"
        state = f"{key.state}, " if key.state else ""
        print(f"{visible(key.project)}: {product} {visible(key.key_id)}: {state}{_deletion(key)}")
        if key.first_issue_ms is not None and key.last_issue_ms is not None:
            count = "1 token" if key.tokens == 1 else f"{key.tokens} tokens"
            print(f"  signed {count}, {_at(key.first_issue_ms)} to {_at(key.last_issue_ms)}")
        for warning in key.warnings:
            print(f"  warning: {visible(warning)}")
    for trail in trails:
        print_report(trail.report)
    for note in notes:
        print(f"note: {note}")


def _deletion(key: "AuditedKey") -> str:
    if key.deletion == "never_safe":
        return "never to be deleted: a token that it signed never expires"
    if key.deletion == "wait" and key.safe_ms is not None:
        return f"can be deleted from {_at(key.safe_ms)}"
    if key.deletion == "safe":
        if key.end_ms is None:
            return "safe to delete: it signed no token in these trails"
        return f"safe to delete: its last token expired at {_at(key.end_ms)}"
    return "in use" if key.state == "active" else "not known to be safe to delete"


def _json_row(key: "AuditedKey") -> dict[str, Any]:
    return {
        "project": key.project,
        "key_id": key.key_id,
        "product": key.product,
        "state": key.state or "unknown",
        "retire_time": _time(key.retired_ms),
        "tokens": key.tokens,
        "first_issue_time": _time(key.first_issue_ms),
        "last_issue_time": _time(key.last_issue_ms),
        "last_expire_time": _time(key.end_ms),
        "never_expires": key.never_expires,
        "deletion": key.deletion,
        "safe_to_delete_time": _time(key.safe_ms),
        "warnings": key.warnings,
    }


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)


def _at(ms: int) -> str:
    return at(from_ms(ms))
