"""Searches for findings that contradict each other: applies the first finding's cure, looks again.

    python tests/inspection/contradictions.py [--count 20000] [--seed 1]

makes random tokens and clients, inspects each, cures the first finding mechanically (the token is
made again, or the client corrected), and inspects again: the finding must be gone, and no error may
be new. It goes on until no error is left, which must happen within a few cures. It exits with 1 and
shows the case otherwise.
"""

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from inspection.tokens import (
    DAY,
    HOUR,
    KEYS,
    LEAKED_CERTIFICATE,
    NOW,
    OTHER_APP_ID,
    OTHER_CERTIFICATE,
    ROOM,
    UNKNOWN_CERTIFICATE,
    t006,
    t007,
    whiteboard,
)
from inspection.trials import uuid_1
from support.keys import APP_ID, CERTIFICATE, NONCE, NOW_MS
from token_authority_server.formats import service_packing as v007
from token_authority_server.inspection import (
    Expected,
    FindingReason,
    Inspection,
    Product,
    Severity,
    inspect_token,
)
from token_authority_server.inspection.case import products_of
from token_authority_server.inspection.decode import decode
from token_authority_server.inspection.reported_error import find_error

Chance = random.Random
_R = FindingReason
_CERTIFICATES: Final = {APP_ID: CERTIFICATE, OTHER_APP_ID: OTHER_CERTIFICATE}
_MAX_CURES: Final = 12
# Stands for a lifespan and a clock in seconds.
_IN_SECONDS: Final = -1


@dataclass(frozen=True)
class Spec:
    """How a token is made."""

    format: str
    services: tuple[str, ...]
    app_id: str = APP_ID
    certificate: str = CERTIFICATE
    channel: str = "lesson-1"
    users: Mapping[str, str] = None  # type: ignore[assignment]  # always given
    issued_at: int = NOW
    life: int = HOUR
    rights: tuple[int, ...] = (1, 2, 3, 4)
    ends: tuple[int, int] = (HOUR, HOUR)
    """Of the rights to join and log in, and to publish: seconds from issue."""
    are_ends_raw: bool = False
    """Whether 006 gets the seconds themselves."""
    is_user_misplaced: bool = False
    wrap: str = "{}"
    room: str = ROOM
    whiteboard_kind: str = "room"
    lifespan_ms: int = HOUR * 1000
    has_time_in_nonce: bool = False

    def text(self) -> str:
        token = {"007": self._t007, "006": self._t006, "netless": self._netless}[self.format]()
        return self.wrap.format(token)

    def _t007(self) -> str:
        entry = {1: self.ends[0]} if self.rights else {}
        rtc = {right: self.ends[right > 1] for right in self.rights}
        makers = {
            "rtc": lambda: v007.rtc(self.channel, self.users["rtc"], rtc),
            "rtm": lambda: v007.rtm(self.users["rtm"], entry),
            "chat": lambda: v007.chat(self.users["chat"], entry),
            "education": lambda: v007.education(self.room, self.users["education"], 1, entry),
        }
        return t007(
            *[makers[name]() for name in self.services],
            app_id=self.app_id,
            app_certificate=self.certificate,
            issued_at=self.issued_at,
            expire_seconds=self.life,
        )

    def _t006(self) -> str:
        start = 0 if self.are_ends_raw else self.issued_at
        ends = [end and max(0, start + end) for end in self.ends]
        is_rtm = "rtm" in self.services
        place, user = (self.users["rtm"], "") if is_rtm else (self.channel, self.users["rtc"])
        if is_rtm and self.is_user_misplaced:
            place, user = self.channel, self.users["rtm"]
        rights = {1000: ends[0]} if is_rtm else {n: ends[n > 1] for n in self.rights}
        return t006(
            place,
            user,
            app_id=self.app_id,
            app_certificate=self.certificate,
            ends_at=self.issued_at + DAY,
            privileges=rights,
        )

    def _netless(self) -> str:
        is_in_seconds = self.lifespan_ms == _IN_SECONDS
        content = (
            {"role": "1"} if self.whiteboard_kind == "sdk" else {"role": "1", "uuid": self.room}
        )
        return whiteboard(
            self.whiteboard_kind,  # type: ignore[arg-type]  # one of its kinds
            content=content,
            now_ms=self.issued_at * (1 if is_in_seconds else 1000),
            lifespan_ms=HOUR if is_in_seconds else self.lifespan_ms,
            nonce=uuid_1(self.issued_at * 1000) if self.has_time_in_nonce else NONCE,
        )


Case = tuple[Spec, Expected]


def draw(chance: Chance) -> Case:
    """Draws a token and a client that fit in most things."""
    user = chance.choice(("7", "7", "alice", "Alice", "0", "", "*", "1*2", "99999999999"))
    names = ("rtc", "rtm", "chat", "education")
    users = {name: user if chance.random() < 0.8 else "bob" for name in names}
    form = chance.choice(("007", "007", "007", "006", "006", "netless"))
    products: list[tuple[str, ...]] = [("rtc",), ("rtc",), ("rtm",)]
    if form == "007":
        products += [("rtc", "rtm"), ("chat",), ("education",), ("chat", "rtm"), ("rtm", "rtc")]
    app_id = chance.choice((APP_ID, APP_ID, APP_ID, OTHER_APP_ID))
    certificate = _CERTIFICATES[app_id]
    if chance.random() < 0.15:
        certificate = chance.choice((LEAKED_CERTIFICATE, UNKNOWN_CERTIFICATE, OTHER_CERTIFICATE))
    spec = Spec(
        form,
        chance.choice(products) if form != "netless" else (),
        app_id,
        certificate,
        chance.choice(("lesson-1", "lesson-1", "Lesson-1", "*", "lesson-*", "a/b", "")),
        users,
        chance.choice((NOW, NOW, NOW, NOW - 2 * HOUR, NOW - 3 * DAY, NOW + HOUR)),
        chance.choice((HOUR, HOUR, 0, 60, 9 * DAY, NOW + HOUR)),
        chance.choice(((1, 2, 3, 4), (1, 2, 3, 4), (1,), (2, 3), ())),
        chance.choice(((HOUR, HOUR), (HOUR, 60), (60, HOUR), (0, 0), (-60, -60), (NOW, NOW)))
        if form == "006"
        else chance.choice(((HOUR, HOUR), (HOUR, 60), (60, HOUR), (0, 0), (NOW, NOW))),
        chance.random() < 0.15,
        chance.random() < 0.2,
        chance.choice(("{}", "{}", "{}", '"{}"', "Bearer {}", " {} ", "x{}", "{}#")),
        chance.choice((ROOM, ROOM, ROOM.upper(), "other-room")),
        chance.choice(("room", "room", "task", "sdk")),
        chance.choice((HOUR * 1000, HOUR, 0, NOW_MS, _IN_SECONDS)),
        chance.random() < 0.5,
    )
    # As an absolute time, only a lifetime is in the wrong unit.
    spec = replace(spec, are_ends_raw=spec.are_ends_raw and max(spec.ends) < DAY)
    by_uid = chance.random() < 0.4
    return spec, Expected(
        app_id=chance.choice(("", app_id, app_id, APP_ID, f" {APP_ID}", CERTIFICATE)),
        channel_name=chance.choice(("", "lesson-1", "lesson-1", "lesson-2")),
        uid=chance.choice((7, 7, 0, 8, 2**32, -1)) if by_uid else None,
        user_account=None if by_uid else chance.choice((None, "alice", "7", "0", "Alice ", "bob")),
        room_uuid=chance.choice(("", "", ROOM, "another")),
        error_code=chance.choice((0, 0, 0, 110, 109, 101, 119, 5, 6, 8, 9, 104, 108, -10005, 17)),
        error=chance.choice(
            ("", "", "", "dynamic use static key", "ERR_INVALID_TOKEN", "gibberish")
        ),
        product=chance.choice((None, None, None, Product.RTC, Product.RTM, Product.CHAT)),
    )


def inspect(case: Case) -> Inspection:
    spec, client = case
    return inspect_token(spec.text(), client, KEYS, NOW_MS)


def cure(case: Case, reason: FindingReason) -> Case:
    """Does what the advice of a finding says."""
    spec, client = CURES[reason](*case)
    if spec != replace(case[0], wrap=spec.wrap):
        # It is made again, and so issued again.
        spec = replace(spec, issued_at=NOW)
    # The SDK reports nothing once the cause is gone; what it said about the product stays true.
    return spec, replace(client, error_code=0, error="", product=_told_product(*case))


def _told_product(spec: Spec, client: Expected) -> Product | None:
    error = find_error(
        client.error_code,
        client.error,
        product=client.product,
        token_products=products_of(decode(spec.text())),
        joined_channel=bool(client.channel_name) or client.uid is not None,
    )
    return client.product or (error.product if error else None)


Cure = Callable[[Spec, Expected], Case]


def _token(**changes: object) -> Cure:
    return lambda spec, client: (replace(spec, **changes), client)  # type: ignore[arg-type]  # fields


def _for_users(spec: Spec, user: str) -> Spec:
    return replace(spec, users=dict.fromkeys(spec.users, user), is_user_misplaced=False)


def _same_user(spec: Spec, client: Expected) -> Case:
    if client.uid == 0 and client.product in (None, Product.RTC) and "rtc" in spec.services:
        # Agora chose one: the client joins with the one in the token.
        own = spec.users["rtc"]
        is_uid = own.isdecimal() and 0 < int(own) < 2**32
        joins: dict[str, Any] = {"uid": int(own)} if is_uid else {"uid": None, "user_account": own}
        return spec, replace(client, **joins)
    return _for_users(spec, client.user or "alice"), client


def _own_user(spec: Spec, client: Expected) -> Case:
    user = client.user if client.is_uid_in_range and client.user not in (None, "", "0") else None
    if user is None and client.user is not None:
        client = replace(client, uid=None, user_account="alice")
    return _for_users(spec, user or "alice"), client


def _uid_in_range(spec: Spec, client: Expected) -> Case:
    if not client.is_uid_in_range:
        return _for_users(spec, "7"), replace(client, uid=7)
    return _for_users(spec, "7"), replace(
        client,
        uid=7 if client.uid is not None else None,
        user_account="7" if client.user_account else None,
    )


def _same_channel(spec: Spec, client: Expected) -> Case:
    return replace(spec, channel=client.channel_name or "lesson-1"), client


def _legal_channel(spec: Spec, client: Expected) -> Case:
    name = client.channel_name and "lesson-1"
    return replace(spec, channel="lesson-1"), replace(client, channel_name=name)


def _same_app(spec: Spec, client: Expected) -> Case:
    return spec, replace(client, app_id=spec.app_id)


def _no_secret(spec: Spec, client: Expected) -> Case:
    return spec, replace(client, app_id="")


def _own_key(spec: Spec, client: Expected) -> Case:
    return replace(spec, certificate=_CERTIFICATES[spec.app_id]), client


def _for_product(spec: Spec, client: Expected) -> Case:
    """Makes a token of the product in use, for the client's channel and user."""
    product = _told_product(spec, client)
    if product is None:
        is_room = client.room_uuid and client.uid is None and not client.channel_name
        product = Product.EDUCATION if is_room else Product.RTC
    user = "7" if client.user is None else client.user
    if client.uid == 0:
        # Only RTC lets Agora choose.
        user = "" if product is Product.RTC else "alice"
        if product is not Product.RTC:
            client = replace(client, uid=None, user_account=user)
    app_id = client.app_id.strip() if client.app_id.strip() in _CERTIFICATES else spec.app_id
    spec = replace(
        spec,
        format="007",
        services=(product.value,),
        app_id=app_id,
        certificate=_CERTIFICATES[app_id],
        channel=client.channel_name or "lesson-1",
        room=client.room_uuid or ROOM,
        rights=(1, 2, 3, 4),
        ends=(HOUR, HOUR),
        issued_at=NOW,
        life=HOUR,
    )
    # A room is none of the product's; a product is none of the room's.
    room = client.room_uuid if product is Product.EDUCATION else ""
    client = replace(client, room_uuid=room, app_id=client.app_id.strip())
    return _for_users(spec, user), client


def _fresh(spec: Spec, client: Expected) -> Case:
    return replace(
        spec,
        issued_at=NOW,
        life=HOUR,
        ends=(HOUR, HOUR),
        lifespan_ms=HOUR * 1000,
        are_ends_raw=False,
    ), client


def _same_room(spec: Spec, client: Expected) -> Case:
    return replace(spec, room=client.room_uuid), client


def _nothing(spec: Spec, client: Expected) -> Case:
    return spec, client


_UNWRAPPED: Final = _token(wrap="{}")
CURES: Final[Mapping[FindingReason, Cure]] = {
    **dict.fromkeys(
        (_R.NOT_A_TOKEN, _R.TRUNCATED, _R.BAD_CHARACTER, _R.DAMAGED, _R.CORRUPT), _UNWRAPPED
    ),
    **dict.fromkeys((_R.WHITESPACE, _R.QUOTED, _R.URL_ENCODED, _R.SURROUNDED), _UNWRAPPED),
    _R.SECRET_EXPOSED: _no_secret,
    _R.WRONG_APP_ID: _same_app,
    _R.APP_ID_SPELLING: _same_app,
    **dict.fromkeys((_R.SIGNED_WITH_OTHER_KEY, _R.SIGNATURE_WRONG, _R.KEY_DISABLED), _own_key),
    **dict.fromkeys((_R.WRONG_CHANNEL, _R.CHANNEL_SPELLING, _R.CHANNEL_EMPTY), _same_channel),
    _R.CHANNEL_NAME_INVALID: _legal_channel,
    _R.WILDCARD_NEEDS_007: _token(format="007", life=HOUR, ends=(HOUR, HOUR)),
    **dict.fromkeys(
        (_R.WRONG_USER, _R.USER_SPELLING, _R.ACCOUNT_FOR_UID, _R.UID_FOR_ACCOUNT), _same_user
    ),
    **dict.fromkeys((_R.USER_EMPTY, _R.UID_ZERO_AS_TEXT), _own_user),
    _R.RTM_USER_MISPLACED: _token(is_user_misplaced=False),
    _R.UID_OUT_OF_RANGE: _uid_in_range,
    _R.WRONG_ROOM: _same_room,
    **dict.fromkeys((_R.RTC_TOKEN_FOR_RTM, _R.RTM_TOKEN_FOR_RTC, _R.WRONG_PRODUCT), _for_product),
    **dict.fromkeys(
        (_R.NO_JOIN_PRIVILEGE, _R.NO_LOGIN_PRIVILEGE),
        _token(rights=(1, 2, 3, 4), ends=(HOUR, HOUR), are_ends_raw=False),
    ),
    **dict.fromkeys(
        (
            _R.EXPIRED,
            _R.JOIN_ENDED,
            _R.CLOCK_SKEW,
            _R.EPOCH_AS_SECONDS,
            _R.SECONDS_AS_EPOCH,
            _R.ENDS_BEFORE_ISSUE,
            _R.EXPIRY_IN_SECONDS,
            _R.LIFESPAN_IN_SECONDS,
            _R.ZERO_LIFE,
        ),
        _fresh,
    ),
    # These describe the project and the client's call, not the token: `cure` clears the error.
    **dict.fromkeys(
        (
            _R.APP_ID_REFUSED,
            _R.CERTIFICATE_NOT_ENABLED,
            _R.TOKEN_NOT_SENT,
            _R.REFUSED_UNEXPLAINED,
        ),
        _nothing,
    ),
}
_OTHER_USER: Final = {
    _R.WRONG_USER,
    _R.USER_SPELLING,
    _R.ACCOUNT_FOR_UID,
    _R.UID_FOR_ACCOUNT,
    _R.UID_OUT_OF_RANGE,
}
_SIGNATURE: Final = {_R.SIGNATURE_WRONG, _R.SIGNED_WITH_OTHER_KEY, _R.KEY_DISABLED}
_ENDED: Final = frozenset(
    [
        _R.EXPIRED,
        _R.JOIN_ENDED,
        _R.SECONDS_AS_EPOCH,
        _R.ENDS_BEFORE_ISSUE,
        _R.EXPIRY_IN_SECONDS,
        _R.LIFESPAN_IN_SECONDS,
    ]
)


def _errors(inspection: Inspection) -> list[FindingReason]:
    return [one.reason for one in inspection.findings if one.severity is Severity.ERROR]


def check(case: Case) -> int:
    """Cures a case until no error is left; returns how many cures that took.

    Raises:
        AssertionError: A finding stayed or came with a cure, or header and findings disagree.
    """
    for cures in range(_MAX_CURES):
        inspection = inspect(case)
        errors = _errors(inspection)
        found = {finding.reason for finding in inspection.findings}
        over = {_R.EXPIRED, _R.JOIN_ENDED} & found
        causes = (_ENDED - {_R.EXPIRED, _R.JOIN_ENDED}) & found
        # The header says it too; and a cause is not told beside its consequence.
        assert bool(over or causes) if inspection.expired else not over, f"header: {found}"
        assert not (over and causes), f"cause and consequence: {found}"
        if not errors:
            return cures
        cured = cure(case, errors[0])
        after = _errors(inspect(cured))
        assert errors[0] not in after, f"{errors[0]} stays: {cured}"
        # What stood in a token that could not be read was not known before.
        new = set(after) - set(errors) if inspection.kind else set[FindingReason]()
        if errors[0] is _R.WILDCARD_NEEDS_007:
            # 007 has the user's text, which 006 has not: its findings may be more precise.
            new -= _OTHER_USER
        if _R.SIGNATURE_UNCHECKED in found:
            # It said that the signature waits for the right channel and user.
            new -= _SIGNATURE
        assert not new, f"the cure of {errors[0]} brings {new}: {cured}"
        case = cured
    raise AssertionError(f"errors are left after {_MAX_CURES} cures")


def search(count: int, seed: int) -> tuple[int, str]:
    """Checks random cases; returns how many cures were applied, and what went wrong."""
    chance, total = Chance(seed), 0
    for number in range(count):
        case = draw(chance)
        try:
            total += check(case)
        except AssertionError as error:
            return total, f"case {number}: {error}\n{case}\n{_errors(inspect(case))}"
    return total, ""


def main(arguments: Sequence[str]) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="Searches for contradicting findings.")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    cures, failure = search(options.count, options.seed)
    sys.stdout.write(f"seed: {options.seed}\ncases: {options.count}\ncures: {cures}\n")
    if failure:
        sys.stdout.write(f"\n{failure}\n")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
