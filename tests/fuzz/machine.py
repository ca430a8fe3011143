"""Takes random steps with a live server, and compares it with a model after each.

Whatever it signed verifies or is explained by an inspection. Over every reload, crash and restart,
the audit trail has one record of each token.
"""

import random
import signal
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from grpc import aio

from support.decoding import decode
from support.keys import APP_ID
from support.live import AUDIT, BY_PLACE, LOG, SERVER, Live, live
from support.serving import refused
from token_authority.v1.batch_pb2 import BatchIssueTokensRequest
from token_authority.v1.inspection_pb2 import InspectTokenRequest
from token_authority.v1.inspection_service_pb2_grpc import InspectionServiceStub
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority.v1.token_service_pb2_grpc import TokenServiceStub
from token_authority_server.audit import find_token, verify

_SERVER: Final = SERVER.replace("50ms", "0s")


class Machine:
    """The server, and what it should be."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.secrets: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.served: dict[str, str] = {}
        """The states that the server has applied."""
        self.tokens: dict[str, tuple[str, str]] = {}
        """Each token by its id, with the id of its key."""
        self.steps: Counter[str] = Counter()
        self.server: Live
        self.channel: Any
        self._open = AsyncExitStack()
        self.add_key()

    @property
    def active(self) -> str | None:
        """The key that signs."""
        return next((key for key, state in self.served.items() if state == "active"), None)

    def add_key(self) -> None:
        """Adds a key, which signs from now on."""
        number = len(self.secrets) + 1
        key_id, secret = f"cert-{number}", f"{self.chance.getrandbits(128):032x}"
        self.secrets[key_id] = secret
        (self.folder / key_id).write_text(secret)
        for other, state in self.states.items():
            self.states[other] = "verify_only" if state == "active" else state
        self.states[key_id] = "active"

    def text(self) -> str:
        """The configuration."""
        keys = [
            f'[[projects.classroom.agora.certificates]]\nid = "{key_id}"\n'
            f'secret = {{ file = "{key_id}" }}\nstate = "{state}"\n'
            for key_id, state in self.states.items()
        ]
        project = f'[projects.classroom.agora]\napp_id = "{APP_ID}"\n'
        return _SERVER + AUDIT + project + "".join(keys) + BY_PLACE

    async def start(self) -> None:
        """Starts the server."""
        self.server = await self._open.enter_async_context(live(self.folder, self.text()))
        self.served = dict(self.states)
        self.channel = aio.insecure_channel(self.server.address)

    async def stop(self, *, crash: bool = False) -> None:
        """Stops the server, or kills it."""
        await self.channel.close()
        if crash:
            self.server.process.send_signal(signal.SIGKILL)
            await self.server.process.wait()
        await self._open.aclose()

    async def issue(self) -> None:
        """Issues one token."""
        call = TokenServiceStub(self.channel).IssueRtcToken(self._request())
        if self.active is None:
            assert (await refused(call)).reason == "NO_ACTIVE_KEY"
            return
        self._keep((await call).issued_token)

    async def issue_batch(self) -> None:
        """Issues some tokens in one call."""
        request = BatchIssueTokensRequest()
        for _ in range(self.chance.randrange(1, 20)):
            request.requests.add().rtc.CopyFrom(self._request())
        call = TokenServiceStub(self.channel).BatchIssueTokens(request)
        if self.active is None:
            assert (await refused(call)).reason == "NO_ACTIVE_KEY"
            return
        for issued in (await call).issued_tokens:
            self._keep(issued)

    async def inspect(self) -> None:
        """Inspects a token that it once signed."""
        if not self.tokens:
            return
        token, key_id = self.chance.choice(list(self.tokens.values()))
        stub = InspectionServiceStub(self.channel)
        answer = await stub.InspectToken(InspectTokenRequest(token=token))
        assert answer.signature.key_id == key_id
        reasons = {finding.reason for finding in answer.findings}
        assert ("KEY_DISABLED" in reasons) == (self.served[key_id] == "disabled")

    async def rotate(self) -> None:
        """Adds a key and reloads."""
        self.add_key()
        await self.reload()

    async def disable(self) -> None:
        """Disables a key, perhaps the one that signs, and reloads."""
        self.states[self.chance.choice(list(self.states))] = "disabled"
        await self.reload()

    async def reload(self) -> None:
        """Reloads the configuration, changed or not."""
        (self.folder / "token-authority.toml").write_text(self.text() + LOG)
        before = len(self.server.events("configuration reloaded"))
        self.server.hang_up()
        await self.server.reloaded(before + 1)
        self.served = dict(self.states)

    async def restart(self) -> None:
        """Stops the server and starts another on the same audit file."""
        await self.stop(crash=self.chance.random() < 0.5)
        await self.start()

    def check(self) -> None:
        """Compares the audit trail with the tokens."""
        path = self.folder / "audit.jsonl"
        report = verify([path])
        assert report.problem is None, report.problem
        for token_id, (_, key_id) in self.tokens.items():
            found = [record.fields for record in find_token(token_id, [path])]
            (issued,) = [fields for fields in found if fields["event"] == "issued"]
            assert issued["key_id"] == key_id
            assert all(fields["key_id"] == key_id for fields in found)
        assert path.read_bytes().count(b'"event":"issued"') == len(self.tokens)

    def _request(self) -> IssueRtcTokenRequest:
        channel = f"lesson-{self.chance.randrange(1000)}"
        uid = self.chance.randrange(1, 2**32)
        return IssueRtcTokenRequest(channel_name=channel, uid=uid, role=RTC_ROLE_PUBLISHER)

    def _keep(self, issued: Any) -> None:
        assert issued.key_id == self.active
        assert decode(issued.token).verifies(self.secrets[issued.key_id])
        self.tokens[issued.token_id] = (issued.token, issued.key_id)


async def walk(steps: int, seed: int) -> str:
    """Takes steps with a server; returns how many of each, and how many tokens it signed."""
    chance = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), chance)
        await machine.start()
        actions = [machine.issue] * 8 + [machine.issue_batch] * 3 + [machine.inspect] * 5
        actions += [machine.rotate, machine.disable, machine.reload, machine.restart]
        for _ in range(steps):
            action = chance.choice(actions)
            await action()
            machine.steps[action.__name__] += 1
        await machine.stop()
        machine.check()
        taken = ", ".join(f"{name} {count}" for name, count in machine.steps.most_common())
        return f"{steps} steps with a live server ({taken}): {len(machine.tokens)} tokens"
