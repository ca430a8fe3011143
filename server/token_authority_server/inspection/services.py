"""The services of 007 by number, from the table of token formats. Values only."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from token_authority_server.formats import services
from token_authority_server.formats.services import BodyField, ServiceSpec

RTC: Final = services.RTC.number
RTM: Final = services.RTM.number
CHAT: Final = services.CHAT.number
EDUCATION: Final = services.EDUCATION.number
RTM2: Final = services.RTM2.number

JOIN: Final = services.RTC.privileges["join_channel"]
LOGIN: Final = services.RTM.privileges["login"]


class ServiceType(NamedTuple):
    """A row of the table, by the numbers that a token contains."""

    name: str
    rights: Mapping[int, str] = {}
    """Privilege -> its name."""
    body: tuple[BodyField, ...] = ()
    """The values after the privileges."""
    user: str = ""
    """Which of them is the user; "" for none."""
    entries: tuple[int, ...] = ()
    """The privileges to join or log in, without which the others are useless."""


def _service_type(spec: ServiceSpec) -> ServiceType:
    return ServiceType(
        spec.title,
        {number: name for name, number in spec.privileges.items()},
        spec.body,
        spec.user,
        tuple(spec.privileges[name] for name in spec.entries),
    )


SERVICES: Final[Mapping[int, ServiceType]] = {
    spec.number: _service_type(spec) for spec in services.SERVICES
}
UNKNOWN: Final = ServiceType("unknown")

RESOURCES: Final[Mapping[int, str]] = {
    number: f"{name}s" for name, number in services.RTM_RESOURCE_TYPES.items()
}
ACCESSES: Final[Mapping[int, str]] = {
    number: name for name, number in services.RTM_ACCESSES.items()
}
