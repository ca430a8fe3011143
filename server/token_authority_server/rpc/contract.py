"""The contract's services and methods, matched with the token families by their descriptors.

A method without a token family, a family without a method, or one that batches lack stops the
server from starting.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from token_authority.v1 import (
    authority_service_pb2,
    batch_pb2,
    encryption_service_pb2,
    inspection_service_pb2,
    token_service_pb2,
)
from token_authority_server.families import FAMILIES, TokenFamily

SERVICES: Final = tuple(
    service
    for module in (
        token_service_pb2,
        inspection_service_pb2,
        authority_service_pb2,
        encryption_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
TOKEN_SERVICE: Final = token_service_pb2.DESCRIPTOR.services_by_name["TokenService"]
INSPECTION_SERVICE: Final = inspection_service_pb2.DESCRIPTOR.services_by_name["InspectionService"]
AUTHORITY_SERVICE: Final = authority_service_pb2.DESCRIPTOR.services_by_name["AuthorityService"]
ENCRYPTION_SERVICE: Final = encryption_service_pb2.DESCRIPTOR.services_by_name["EncryptionService"]
_ENTRY: Final = batch_pb2.IssueTokenRequest.DESCRIPTOR

Families = Iterable[TokenFamily[Any, Any]]


def paths() -> set[str]:
    """Returns `/package.Service/Method` of every method of the contract."""
    return {
        f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods
    }


def families_by_method(families: Families = FAMILIES) -> Mapping[str, TokenFamily[Any, Any]]:
    """Pairs each Issue method of TokenService with the family that has exactly its messages.

    Raises:
        RuntimeError: The contract and the families do not match.
    """
    places = {
        (method.input_type, method.output_type): method.name
        for method in TOKEN_SERVICE.methods
        if method.name.startswith("Issue")
    }
    return _paired(
        places,
        [
            ((family.request_type.DESCRIPTOR, family.response_type.DESCRIPTOR), family)
            for family in families
        ],
    )


def families_by_entry(families: Families = FAMILIES) -> Mapping[str, TokenFamily[Any, Any]]:
    """Pairs each field of a batch entry with the family whose request it is.

    Raises:
        RuntimeError: The contract and the families do not match.
    """
    places = {field.message_type: field.name for field in _ENTRY.oneofs_by_name["request"].fields}
    return _paired(places, [(family.request_type.DESCRIPTOR, family) for family in families])


def _paired(
    places: Mapping[Any, str], families: Iterable[tuple[Any, TokenFamily[Any, Any]]]
) -> Mapping[str, TokenFamily[Any, Any]]:
    """Pairs places in the contract with families by the descriptors of their messages."""
    paired: dict[str, TokenFamily[Any, Any]] = {}
    for messages, family in families:
        place = places.get(messages)
        if place is None:
            raise RuntimeError(f"the contract has no place for the family {family.name}")
        if place in paired:
            raise RuntimeError(f"{place} has two families, {paired[place].name} and {family.name}")
        paired[place] = family
    for place in places.values():
        if place not in paired:
            raise RuntimeError(f"no token family has the messages of {place}")
    return paired
