"""Targets that are texts for people: pasted tokens, and errors that the client gets."""

from functools import partial
from typing import Any, Final

import grpc

from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_shown
from inspection import fuzz as inspecting
from inspection.tokens import KEYS
from support.keys import NOW_MS
from token_authority_client._grpc_errors import error_of
from token_authority_server.errors import (
    FieldViolation,
    draining,
    invalid_request,
    project_not_granted,
)
from token_authority_server.inspection import Expected, inspect_token
from token_authority_server.rpc import status

_TOKENS: Final = inspecting.real_tokens()
_STATUSES: Final = [
    status.details(refusal)
    for refusal in (
        invalid_request([FieldViolation("uid", "INT64_GTE_LTE", "must be from 1 to 4294967295")]),
        project_not_granted("classroom"),
        draining(1.5),
    )
]


class _FailedCall:
    """A failed call of the client, with details that a server sent."""

    def __init__(self, details: bytes) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INVALID_ARGUMENT

    def details(self) -> str:
        return "failed"

    def trailing_metadata(self) -> Any:
        return (("grpc-status-details-bin", self._details),)


def targets() -> list[Target]:
    """Returns the targets."""
    return [
        Target("inspection", _pasted, _inspect, 120),
        Target("error of a server", partial(mutated, _STATUSES), _explain, 90),
    ]


def _pasted(chance: Chance) -> tuple[str, Expected]:
    return inspecting.text_of(_TOKENS, chance), inspecting.expected_of(chance)


def _inspect(pasted: tuple[str, Expected]) -> str:
    text, expected = pasted
    inspection = inspect_token(text, expected, KEYS, NOW_MS)
    inspecting.check(text, inspection)
    return inspection.signature.verdict.value


def _explain(details: bytes) -> str:
    error = error_of(_FailedCall(details), "127.0.0.1:1")
    check_shown(f"{error} {error!r}", 200_000)
    return type(error).__name__
