"""What the contract once allowed stays allowed: `buf breaking` does not see the rules.

once_valid_requests.jsonl holds a request at every edge of every rule, as proto3 JSON; it is issued
at the moment `support.keys.NOW_MS`. Lines are added with each new rule and never taken away.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict  # noqa: TID251  # reads; nothing is shown

from support.keys import access_key, certificate
from support.serving import PATH, running
from token_authority_server.keyring import Keyring, Project
from token_authority_server.rpc.service import SERVICE, kinds_by_method

CORPUS = Path(__file__).with_name("once_valid_requests.jsonl")
LINES = [json.loads(line) for line in CORPUS.read_text().splitlines()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: json.dumps(line["request"])[:60])
async def test_a_once_valid_request_is_still_answered(line: dict[str, Any]) -> None:
    request = ParseDict(line["request"], kinds_by_method()[line["method"]].request_type())
    keys = (certificate(), access_key())
    async with running(Keyring([Project(request.project or "p", keys)])) as server:
        answer = await server.channel.unary_unary(PATH + line["method"])(
            request.SerializeToString()
        )
    assert len(answer) > 20


def test_every_field_of_every_request_occurs() -> None:
    for method in SERVICE.methods:
        fields = {field.json_name for field in method.input_type.fields}
        used = {name for line in LINES if line["method"] == method.name for name in line["request"]}
        assert used == fields
