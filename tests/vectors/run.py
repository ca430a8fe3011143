"""Builds every case of a folder of conformance vectors with our signing core.

    python tests/vectors/run.py FOLDER

reads each *.json of FOLDER and prints one JSON line for each of its cases, in order:
{"suite", "name", "token"}, or {"suite", "name", "error"} if the inputs are rejected. It needs
only Python: the signing core imports the standard library only.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "server"))

from token_authority_server.formats import service_packing as packing
from token_authority_server.formats.access_token_006 import (
    RTM_LOGIN,
    TOKEN_SECONDS,
    build_access_token_006,
)
from token_authority_server.formats.access_token_007 import build_access_token_007
from token_authority_server.formats.netless import build_netless_token
from token_authority_server.formats.packing import FormatError, uid_text

Inputs = Mapping[str, Any]


def build(case: Mapping[str, Any]) -> str:
    """Builds the token of one case.

    Raises:
        FormatError: The signing core rejects the inputs.
        KeyError: This runner does not support the case's `api`.
    """
    inputs: Inputs = case["inputs"]
    if "lifespan_ms" in inputs:
        return build_netless_token(case["kind"], **inputs)
    if case.get("token_version") == "006" or "ts" in inputs:
        return _build_006(inputs)
    return _build_007(case.get("api", "access_token2"), inputs)


def _uid(inputs: Inputs) -> str:
    """Returns the user as text: a uid, an account unchanged, or "" (RTM in 006)."""
    if "uid" in inputs:
        uid = inputs["uid"]
        return uid_text(uid) if isinstance(uid, int) else uid
    account: str = inputs.get("account", "")
    return account


def _publisher_or_not(may_publish: bool, expire: int) -> dict[int, int]:
    return {1: expire, 2: expire, 3: expire, 4: expire} if may_publish else {1: expire}


def _build_006(inputs: Inputs) -> str:
    # RTM tokens have the account in place of the channel, and no uid.
    is_rtm = "channel_name" not in inputs
    if "privileges" in inputs:
        privileges = dict(inputs["privileges"])
    elif is_rtm:
        privileges = {RTM_LOGIN: inputs["privilege_expired_ts"]}
    else:
        # In 006, attendee (0) and admin (101) have the privileges of a publisher (1).
        may_publish = inputs["role"] in (0, 1, 101)
        privileges = _publisher_or_not(may_publish, inputs["privilege_expired_ts"])
    return build_access_token_006(
        app_id=inputs["app_id"],
        app_certificate=inputs["app_certificate"],
        channel_name=inputs["account"] if is_rtm else inputs["channel_name"],
        uid="" if is_rtm else _uid(inputs),
        ends_at=inputs["ts"] if "ts" in inputs else inputs["issue_ts"] + TOKEN_SECONDS,
        salt=inputs["salt"],
        privileges=privileges,
    )


def _build_007(api: str, inputs: Inputs) -> str:
    expire = inputs.get("token_expire", inputs.get("expire"))
    return build_access_token_007(
        app_id=inputs["app_id"],
        app_certificate=inputs["app_certificate"],
        issued_at=inputs["issue_ts"],
        # FPA's builder has no lifetime argument: the lifetime is always a day.
        expire_seconds=86400 if expire is None else expire,
        salt=inputs["salt"],
        services=_BUILDERS_007[api](inputs),
    )


def _rtc(inputs: Inputs) -> list[packing.PackedService]:
    """Returns RTC with one lifetime: role 1 may publish, any other may only join."""
    privileges = _publisher_or_not(inputs["role"] == 1, inputs["privilege_expire"])
    return [packing.rtc(inputs["channel_name"], _uid(inputs), privileges)]


def _rtc_privileges(inputs: Inputs) -> list[packing.PackedService]:
    """Returns RTC with one lifetime per privilege; a role other than 1 may only join."""
    privileges = {
        1: inputs["join_channel_expire"],
        2: inputs["publish_audio_expire"],
        3: inputs["publish_video_expire"],
        4: inputs["publish_data_expire"],
    }
    if inputs.get("role", 1) != 1:
        privileges = {1: privileges[1]}
    return [packing.rtc(inputs["channel_name"], _uid(inputs), privileges)]


def _rtc_with_rtm(inputs: Inputs) -> list[packing.PackedService]:
    return [*_rtc(inputs), packing.rtm(inputs["account"], {1: inputs["token_expire"]})]


def _rtc_with_rtm2(inputs: Inputs) -> list[packing.PackedService]:
    rtm = packing.rtm(inputs["rtm_user_id"], {1: inputs["rtm_token_expire"]})
    return [*_rtc_privileges(inputs), rtm]


def _education_room_user(inputs: Inputs) -> list[packing.PackedService]:
    user, login = inputs["user_uuid"], {1: inputs["expire"]}
    chat_user = hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()
    return [
        packing.education(inputs["room_uuid"], user, inputs["role"], login),
        packing.rtm(user, login),
        packing.chat(chat_user, login),
    ]


def _education_user(inputs: Inputs) -> list[packing.PackedService]:
    return [packing.education("", inputs["user_uuid"], -1, {2: inputs["expire"]})]


def _education_app(inputs: Inputs) -> list[packing.PackedService]:
    return [packing.education("", "", -1, {3: inputs["expire"]})]


def _permissions(inputs: Inputs) -> list[packing.RtmPermission]:
    return [
        packing.RtmPermission(row["resource_type"], row["permission_type"], row["resources"])
        for row in inputs["permissions"]
    ]


_SERVICES: Mapping[int, Callable[[Inputs, dict[int, int]], packing.PackedService]] = {
    1: lambda row, privileges: packing.rtc(row["channel_name"], _uid(row), privileges),
    2: lambda row, privileges: packing.rtm(row["user_id"], privileges),
    3: lambda row, privileges: packing.streaming(row["channel_name"], _uid(row), privileges),
    4: lambda _, privileges: packing.fpa(privileges),
    5: lambda row, privileges: packing.chat(row["user_id"], privileges),
    6: lambda row, privileges: packing.fcdn(row["channel_name"], _uid(row), privileges),
    7: lambda row, privileges: packing.education(
        row["room_uuid"], row["user_uuid"], row["role"], privileges
    ),
    8: lambda row, privileges: packing.rtm2(row["user_id"], _permissions(row), privileges),
    9: lambda _, privileges: packing.convo_ai(privileges),
    10: lambda _, privileges: packing.stt(privileges),
}


def _any_services(inputs: Inputs) -> list[packing.PackedService]:
    return [_SERVICES[row["type"]](row, dict(row["privileges"])) for row in inputs["services"]]


_BUILDERS_007: Mapping[str, Callable[[Inputs], list[packing.PackedService]]] = {
    "rtc.uid": _rtc,
    "rtc.account": _rtc,
    "rtc.uid_privileges": _rtc_privileges,
    "rtc.account_privileges": _rtc_privileges,
    "rtc.with_rtm": _rtc_with_rtm,
    "rtc.with_rtm2": _rtc_with_rtm2,
    "rtm.login": lambda inputs: [packing.rtm(inputs["user_id"], {1: inputs["expire"]})],
    "rtm.permissions": lambda inputs: [
        packing.rtm2(inputs["user_id"], _permissions(inputs), {1: inputs["expire"]})
    ],
    "chat.user": lambda inputs: [packing.chat(inputs["user_id"], {1: inputs["expire"]})],
    "chat.app": lambda inputs: [packing.chat("", {2: inputs["expire"]})],
    "education.room_user": _education_room_user,
    "education.user": _education_user,
    "education.app": _education_app,
    "apaas.room_user": _education_room_user,
    "apaas.user": _education_user,
    "apaas.app": _education_app,
    "fpa": lambda _: [packing.fpa({1: 0})],
    "convoai": lambda inputs: [*_rtc_with_rtm2(inputs), packing.convo_ai({})],
    "stt": lambda inputs: [*_rtc_with_rtm2(inputs), packing.stt({})],
    "access_token2": _any_services,
}


def suites(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields each suite of the folder, by file name."""
    for path in sorted(folder.glob("*.json")):
        suite = json.loads(path.read_text(encoding="utf-8"))
        if "cases" in suite:
            yield suite


def main(folder: Path) -> None:
    """Prints one JSON line for each case of each suite."""
    for suite in suites(folder):
        for case in suite["cases"]:
            line = {"suite": suite["suite"], "name": case["name"]}
            try:
                line["token"] = build(case)
            except FormatError as error:
                line["error"] = str(error)
            except (KeyError, TypeError, AttributeError) as error:
                line["error"] = f"this runner cannot read the case: {error!r}"
            print(json.dumps(line))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python tests/vectors/run.py FOLDER")
    main(Path(sys.argv[1]))
