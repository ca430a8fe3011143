"""The server's hot paths, callable in this process: what `counting.py` and `profiling.py` run.

Everything but the transport is real: handlers, authentication, log, metrics, limits, audit trail.
Clock and random bytes are fakes, so that each call does the same work.
"""

import io
import itertools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn, cast

from support import granting
from support.keys import Moments, keyring
from support.serving import PARSER, no_trail
from token_authority.v1 import (
    access_token_pb2,
    batch_pb2,
    chat_pb2,
    education_pb2,
    inspection_pb2,
    issued_token_pb2,
    rtc_pb2,
    rtm_pb2,
    token_service_pb2,
    whiteboard_pb2,
)
from token_authority_server.audit import AuditTrail, FileSink
from token_authority_server.authority import Authority
from token_authority_server.authorization import PolicySnapshot
from token_authority_server.families import FAMILIES
from token_authority_server.identity.call_context import CallContext
from token_authority_server.identity.directory import Callers
from token_authority_server.keyring import Keyring
from token_authority_server.limits import InFlight, RateLimiter, slices
from token_authority_server.rpc.authentication import Authenticator, Context
from token_authority_server.rpc.authority_service import ServerFacts
from token_authority_server.rpc.handlers import Handlers
from token_authority_server.rpc.methods import methods
from token_authority_server.rpc.observability import Observer
from token_authority_server.telemetry.log import make_logger
from token_authority_server.telemetry.metrics import Metrics

HotPath = Callable[[], Awaitable[object]]
CHANNEL: Final = "7d72365eb983485397e3e3f9d460bdda"
RTC: Final = rtc_pb2.IssueRtcTokenRequest(
    project="classroom", channel_name=CHANNEL, uid=2882341273, role=rtc_pb2.RTC_ROLE_PUBLISHER
)
REQUESTS: Final[Mapping[str, Any]] = {
    "rtc": RTC,
    "rtc, 006": rtc_pb2.IssueRtcTokenRequest(
        project="classroom",
        channel_name=CHANNEL,
        uid=2882341273,
        role=rtc_pb2.RTC_ROLE_PUBLISHER,
        format=issued_token_pb2.TOKEN_FORMAT_V006,
    ),
    "rtm": rtm_pb2.IssueRtmTokenRequest(project="classroom", user_id="alice"),
    "chat": chat_pb2.IssueChatTokenRequest(
        project="classroom", user=chat_pb2.ChatUser(user_id="alice")
    ),
    "education": education_pb2.IssueEducationTokenRequest(
        project="classroom",
        room_user=education_pb2.EducationRoomUser(room_uuid="room", user_uuid="alice", role=1),
    ),
    "access_token": access_token_pb2.IssueAccessTokenRequest(
        project="classroom",
        services=[access_token_pb2.AccessTokenService(rtm={"user_id": "alice"})],  # type: ignore[arg-type]  # a mapping serves as a message
    ),
    "whiteboard": whiteboard_pb2.IssueWhiteboardTokenRequest(
        project="classroom",
        room=whiteboard_pb2.WhiteboardRoomScope(room_uuid="4a50cb3b6a0c4b5e9a1d1c1f0e6d7c8b"),
        role=whiteboard_pb2.WHITEBOARD_ROLE_WRITER,
    ),
}
TOKEN_SERVICE: Final = "/token_authority.v1.TokenService/"
INSPECT: Final = "/token_authority.v1.InspectionService/InspectToken"


class StoppedClock:
    """Stands for the module `time` where work is cut into slices: none ends, no turn is early."""

    perf_counter: ClassVar[Any] = itertools.count().__next__

    @staticmethod
    def perf_counter_ns() -> int:
        """Nanoseconds."""
        return 0


class OneCall:
    """The context of one call, as far as handlers use it."""

    def __init__(self, data: bytes, metadata: tuple[tuple[str, str], ...]) -> None:
        self._data = data
        self._metadata = metadata

    def peer(self) -> str:
        """Returns the client's address."""
        return "ipv4:127.0.0.1:40000"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns the headers of the call."""
        return self._metadata

    def auth_context(self) -> dict[str, list[bytes]]:
        """Returns what TLS knows of the client."""
        return {}

    async def read(self) -> bytes:
        """Returns the request."""
        return self._data

    async def abort(self, *_: object) -> NoReturn:
        """Ends the call with a status."""
        raise ConnectionAbortedError


class Server:
    """The handlers of a server.

    Args:
        callers: Its callers.
        trail: Its audit trail.
        log: Gets its log.
        metadata: The headers of each call.
        keys: Its projects and keys; None: some.
    """

    def __init__(
        self,
        callers: Callers,
        trail: AuditTrail,
        log: io.TextIOBase,
        metadata: tuple[tuple[str, str], ...] = (),
        keys: Keyring | None = None,
    ) -> None:
        metrics, moments = Metrics(), Moments()
        limiter = RateLimiter("memory", on_degraded=print, on_recovered=print, clock=lambda: 1.0)
        policy = PolicySnapshot(keys or keyring(), callers)
        self.authority = Authority(policy, moments, limiter, trail)
        self.context = CallContext(
            callers.by_name["tester"], "local", "ipv4:127.0.0.1:40000", "IssueRtcToken"
        )
        self._metadata = (("user-agent", "grpc-go/1.70"), *metadata)
        self._handlers = Handlers(
            methods(self.authority, PARSER, metrics, ServerFacts(1 << 20, "1.2.3")),
            Authenticator(callers, None, verifies_certificates=False),
            InFlight(800),
            Observer(make_logger("json", "info", log), metrics, trail),
            1 << 20,
        )

    def call(self, path: str, data: bytes) -> HotPath:
        """Returns a call of a method, from its headers to its answer."""
        details = cast("Any", type("Details", (), {"method": path}))
        handler: Any = self._handlers.service(details)
        behavior, metadata = handler.stream_unary, self._metadata

        async def called() -> object:
            return await behavior(None, cast("Context", OneCall(data, metadata)))

        return called

    def sign(self, name: str) -> HotPath:
        """Returns authorizing and signing one of REQUESTS."""
        request = REQUESTS[name]
        family = next(one for one in FAMILIES if one.request_type is type(request))

        async def signed() -> object:
            return self.authority.sign(
                self.authority.authorize(self.context.caller, family, request)
            )

        return signed


def plain(log: io.TextIOBase) -> Server:
    """Returns a server without an audit trail and limits, for any local caller."""
    who = granting.callers(granting.caller(granting.grant()))
    return Server(who, no_trail(), log)


def deployed(log: io.TextIOBase, folder: Path, fsync: Any = "never") -> tuple[Server, AuditTrail]:
    """Returns a server with API keys, three grants, limits and an audit trail in a folder."""
    others = [granting.grant(name=f"g{n}", channels=(f"room-{n}-*",)) for n in range(2)]
    row = granting.caller(
        *others,
        granting.grant(),
        identities=(granting.API_KEY_IDENTITY,),
        rate_limit="1000000/second; 1000000000/hour",
        max_in_flight=500,
    )
    trail = AuditTrail(
        [FileSink(folder / "audit.jsonl", fsync, "0" * 32)],
        required=True,
        clock=Moments().clock,
        on_failure=print,
        on_recovery=print,
    )
    metadata = (("authorization", f"Bearer {granting.API_KEY}"),)
    return Server(granting.callers(row), trail, log, metadata), trail


def batch_of(name: str, count: int) -> bytes:
    """Returns a batch of the same request."""
    batch = batch_pb2.BatchIssueTokensRequest()
    for _ in range(count):
        getattr(batch.requests.add(), name).CopyFrom(REQUESTS[name])
    return batch.SerializeToString()


def method_of(name: str) -> str:
    """Returns the path of the method for one of REQUESTS."""
    service = token_service_pb2.DESCRIPTOR.services_by_name["TokenService"]
    request = REQUESTS[name].DESCRIPTOR
    (method,) = [one.name for one in service.methods if one.input_type is request]
    return f"{TOKEN_SERVICE}{method}"


async def hot_paths(log: io.TextIOBase, folder: Path) -> tuple[Mapping[str, HotPath], AuditTrail]:
    """Returns the hot paths by name, and the trail to close."""
    vars(slices)["time"] = StoppedClock
    local = plain(log)
    full, trail = deployed(log, folder)
    batch = f"{TOKEN_SERVICE}BatchIssueTokens"
    request = inspection_pb2.InspectTokenRequest
    token: Any = await local.sign("rtc")()
    paths = {
        **{f"sign {name}": local.sign(name) for name in REQUESTS},
        **{
            f"call {name}": local.call(method_of(name), REQUESTS[name].SerializeToString())
            for name in ("rtc", "whiteboard")
        },
        "call rtc, deployed": full.call(method_of("rtc"), RTC.SerializeToString()),
        "call, refused": full.call(
            method_of("rtc"),
            rtc_pb2.IssueRtcTokenRequest(
                project="classroom", channel_name="office", uid=-1
            ).SerializeToString(),
        ),
        "inspect rtc": local.call(INSPECT, request(token=token.token).SerializeToString()),
        **{f"batch of {count}": local.call(batch, batch_of("rtc", count)) for count in (1, 21)},
        **{
            f"batch of {count}, deployed": full.call(batch, batch_of("rtc", count))
            for count in (1, 21)
        },
    }
    return paths, trail
