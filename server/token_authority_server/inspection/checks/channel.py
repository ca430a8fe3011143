"""Looks at the channel that the token is for, and the room."""

import re
from typing import Final

from token_authority_server.inspection.case import EVERY, Case, Check, Explanation, opens
from token_authority_server.inspection.decoded import Service
from token_authority_server.inspection.findings import FindingReason, Severity
from token_authority_server.inspection.wording import quoted

# What Agora allows, by joinChannel's page.
_LEGAL: Final = re.compile(r"[-a-zA-Z0-9 !#$%&()+:;<=.>?@\[\]^_{}|~,]{1,64}")


def _others(case: Case) -> list[Service]:
    """Returns the services for other channels, where none is for the one that was joined."""
    used, services = case.expected.channel_name, case.joined
    if not used or any(opens(service, used) for service in services):
        return []
    return services


def _wrong_channel(case: Case) -> Explanation | None:
    services, used = _others(case), case.expected.channel_name
    if not services or any(_resembles(service, used) for service in services):
        return None
    # The few spellings that are tried on a CRC are not all there are.
    spelling = ", or for another spelling of it" if case.decoded.format == "006" else ""
    return Explanation(
        f"The client joined the channel {quoted(used)}, and the token is for "
        f"{services[0].channel}{spelling}.",
        "Make the token for the channel that the client joins.",
    )


def _channel_spelling(case: Case) -> Explanation | None:
    used = case.expected.channel_name
    for service in _others(case):
        if _resembles(service, used):
            return Explanation(
                f"The client joined the channel {quoted(used)}, and the token is for "
                f"{service.channel}: they differ in white space or case.",
                "Spell the channel alike on both sides, and trim it where it is typed.",
            )
    return None


def _resembles(service: Service, channel: str) -> bool:
    return service.channel is not None and service.channel.resembles(channel)


def _channel_name_invalid(case: Case) -> Explanation | None:
    for service in case.with_channel:
        assert service.channel
        text = service.channel.text
        if text is not None and text != EVERY and not _LEGAL.fullmatch(text):
            return Explanation(
                f"The token is for the channel {quoted(text)}, which Agora does not allow.",
                "Name channels with 1 to 64 ASCII letters, digits, spaces, and the punctuation "
                "that Agora lists.",
            )
    return None


def _wildcard_channel(case: Case) -> Explanation | None:
    for service in case.with_channel:
        assert service.channel
        if service.channel.text == EVERY:
            return Explanation(
                "The token opens every channel of the project.",
                "Web clients need USE_NEW_TOKEN for it; where one channel is enough, name it.",
            )
    return None


def _wildcard_needs_007(case: Case) -> Explanation | None:
    if case.decoded.format != "006" or not case.rtc:
        return None
    name = case.rtc[0].channel
    if name is None or not name.matches(EVERY):
        return None
    return Explanation(
        "The token is for the channel '*', which in 006 is no more than a channel of that name.",
        "Make a 007 token to open every channel.",
    )


def _wrong_room(case: Case) -> Explanation | None:
    used = case.expected.room_uuid
    rooms = [service.room for service in case.decoded.services if service.room]
    if case.decoded.whiteboard and case.decoded.whiteboard.get("uuid"):
        rooms.append(case.decoded.whiteboard["uuid"])
    if not used or not rooms or used in rooms:
        return None
    return Explanation(
        f"The client entered the room {quoted(used)}, and the token is for {quoted(rooms[0])}.",
        "Make the token for the room that the client enters, spelt alike.",
    )


CHECKS: Final = (
    Check(FindingReason.WRONG_CHANNEL, Severity.ERROR, _wrong_channel),
    Check(FindingReason.CHANNEL_SPELLING, Severity.ERROR, _channel_spelling),
    Check(FindingReason.WRONG_ROOM, Severity.ERROR, _wrong_room),
    Check(FindingReason.WILDCARD_NEEDS_007, Severity.ERROR, _wildcard_needs_007),
    Check(FindingReason.CHANNEL_NAME_INVALID, Severity.ERROR, _channel_name_invalid),
    Check(FindingReason.WILDCARD_CHANNEL, Severity.WARNING, _wildcard_channel),
)
