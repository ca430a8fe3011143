"""Checks of the channel and the room."""

import re
from typing import Final

from token_authority_server.formats import token_warnings
from token_authority_server.inspection.case import Case, Check, Explanation, explained, opens
from token_authority_server.inspection.decoded import EVERY, DecodedService
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.services import RTC
from token_authority_server.inspection.wording import quoted

# Agora's limit, by the documentation of joinChannel.
_LEGAL: Final = re.compile(r"[-a-zA-Z0-9 !#$%&()+:;<=.>?@\[\]^_{}|~,]{1,64}")


def _is_empty_006(service: DecodedService) -> bool:
    """Tells whether a 006 token was made with an empty channel, whose CRC-32 is 0."""
    name = service.channel
    return name is not None and name.text is None and name.crc == 0


def _others(case: Case) -> list[DecodedService]:
    """Returns the services for other channels, if none is for the one that was joined."""
    used, services = case.expected.channel_name, case.joined
    if not used or any(opens(service, used) or _is_empty_006(service) for service in services):
        return []
    return services


def _wrong_channel(case: Case) -> Explanation | None:
    services, used = _others(case), case.expected.channel_name
    if not services or any(_resembles(service, used) for service in services):
        return None
    # Only some spellings can be tried on a CRC.
    spelling = ", or for another spelling of it" if case.decoded.format == "006" else ""
    return Explanation(
        f"The client joined the channel {quoted(used)}; the token is for "
        f"{services[0].channel}{spelling}.",
        "Make the token for the channel that the client joins.",
    )


def _channel_spelling(case: Case) -> Explanation | None:
    used = case.expected.channel_name
    for service in _others(case):
        if _resembles(service, used):
            return Explanation(
                f"The client joined the channel {quoted(used)}; the token is for "
                f"{service.channel}: they differ in white space or case.",
                "Use the same spelling of the channel on both sides, and trim it where it is "
                "entered.",
            )
    return None


def _resembles(service: DecodedService, channel: str) -> bool:
    return service.channel is not None and service.channel.resembles(channel)


def _channel_empty(case: Case) -> Explanation | None:
    if not any(_is_empty_006(service) for service in case.rtc):
        return None
    return Explanation(
        "The channel name was empty when the token was made.",
        "Pass the channel name where the token is made; check that the request's field has the "
        "name that the program reads.",
    )


def _is_wildcard(service: DecodedService) -> bool:
    """Tells whether it is for every channel: `*`, or in RTC's 007 also the empty text."""
    text = service.channel.text if service.channel else None
    return text == EVERY or (text == "" and service.type == RTC)


def _has_legal_pattern(service: DecodedService) -> bool:
    name = service.channel
    if name is None or name.text is None or service.type != RTC or not name.is_pattern:
        return False
    return _LEGAL.fullmatch(name.text.replace(EVERY, "-")) is not None


def _channel_name_invalid(case: Case) -> Explanation | None:
    for service in case.with_channel:
        text = service.channel.text if service.channel else None
        if text is None or _is_wildcard(service) or _has_legal_pattern(service):
            continue
        if not _LEGAL.fullmatch(text):
            return Explanation(
                f"The token is for the channel {quoted(text)}, a name that Agora does not allow.",
                "Use 1 to 64 ASCII letters, digits, spaces, and the punctuation that Agora lists "
                "for joinChannel.",
            )
    return None


def _wildcard_channel(case: Case) -> Explanation | None:
    if not any(_is_wildcard(service) for service in case.with_channel):
        return None
    return explained(token_warnings.WILDCARD_CHANNEL)


def _wildcard_pattern(case: Case) -> Explanation | None:
    """Explains extended wildcard matching, which Shengwang documents for RTC in 007 alone."""
    for service in case.rtc:
        user = service.user.text if service.user else None
        if _has_legal_pattern(service):
            return _pattern("channel", service.channel.text if service.channel else "")
        if user == EVERY or (service.user and service.user.is_pattern):
            return _pattern("user", user)
    return None


def _pattern(what: str, text: str | None) -> Explanation:
    pattern = text or ""
    matches = (
        f"it matches every {what}"
        if pattern == EVERY
        else f"`*` matches any text, as in {quoted(pattern.replace(EVERY, '12'))}"
    )
    return Explanation(
        f"The token's {what} {quoted(pattern)} is a wildcard: {matches}.",
        token_warnings.WILDCARD_PATTERN.advice,
    )


def _wildcard_needs_007(case: Case) -> Explanation | None:
    if case.decoded.format != "006" or not case.rtc:
        return None
    name = case.rtc[0].channel
    if name is None or not name.matches(EVERY):
        return None
    return Explanation(
        "The token is for the channel '*', which in 006 is a name like any other.",
        "Make a 007 token for a wildcard channel.",
    )


def _rooms(case: Case) -> list[str]:
    rooms = [service.room for service in case.decoded.services if service.room]
    if case.decoded.whiteboard and case.decoded.whiteboard.get("uuid"):
        rooms.append(case.decoded.whiteboard["uuid"])
    return rooms


def _same_room(one: str, other: str) -> bool:
    return _bare(one) == _bare(other)


def _bare(uuid: str) -> str:
    return uuid.strip().replace("-", "").casefold()


def _wrong_room(case: Case) -> Explanation | None:
    used, rooms = case.expected.room_uuid, _rooms(case)
    if not used or not rooms or any(_same_room(used, room) for room in rooms):
        return None
    return Explanation(
        f"The client entered the room {quoted(used)}; the token is for {quoted(rooms[0])}.",
        "Make the token for the room that the client enters.",
    )


def _room_spelling(case: Case) -> Explanation | None:
    used, rooms = case.expected.room_uuid, _rooms(case)
    same = [room for room in rooms if _same_room(used, room)]
    if not used or used in rooms or not same:
        return None
    return Explanation(
        f"The client entered the room {quoted(used)}; the token has the same room as "
        f"{quoted(same[0])}: they differ in dashes, white space or case.",
        "Use the room's uuid as Agora returned it, without dashes, on both sides.",
    )


def _unset_as_text(case: Case) -> Explanation | None:
    rooms = _rooms(case)
    services = case.decoded.services
    for text in token_warnings.UNSET_TEXTS:
        has_text = {
            "channel": any(one.channel and one.channel.matches(text) for one in services),
            "user": any(one.user and one.user.matches(text) for one in services),
            "room": text in rooms,
        }
        for what in (what for what, found in has_text.items() if found):
            return Explanation(
                f"The token's {what} is {quoted(text)}, which is the text of an unset variable.",
                token_warnings.UNSET_AS_TEXT.advice,
            )
    return None


CHECKS: Final = (
    Check(FindingReason.CHANNEL_EMPTY, Severity.ERROR, _channel_empty),
    Check(FindingReason.WRONG_CHANNEL, Severity.ERROR, _wrong_channel),
    Check(FindingReason.CHANNEL_SPELLING, Severity.ERROR, _channel_spelling),
    Check(FindingReason.WRONG_ROOM, Severity.ERROR, _wrong_room),
    Check(FindingReason.WILDCARD_NEEDS_007, Severity.ERROR, _wildcard_needs_007),
    Check(FindingReason.CHANNEL_NAME_INVALID, Severity.ERROR, _channel_name_invalid),
    Check(FindingReason.ROOM_SPELLING, Severity.WARNING, _room_spelling),
    Check(FindingReason.WILDCARD_CHANNEL, Severity.WARNING, _wildcard_channel),
    Check(FindingReason.WILDCARD_PATTERN, Severity.WARNING, _wildcard_pattern),
    Check(FindingReason.UNSET_AS_TEXT, Severity.WARNING, _unset_as_text),
)
