"""The public names: what the package exports, and that users and the command line need no more."""

import asyncio
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import token_authority_client
from support.clients import CLIENTS
from support.serving import running
from token_authority_client import (
    AsyncTokenAuthorityClient,
    AsyncTokenSource,
    ChatService,
    EducationService,
    IssuedToken,
    RtcPrivileges,
    RtcService,
    RtmLogin,
    RtmPermission,
    TokenAuthorityClient,
    TokenSource,
    prepare,
)

CLIENT = Path(__file__).parents[2] / "client"
NAMES = """
    AccessTokenService Advisory ApiKeyFile AsyncSessionSource AsyncTokenAuthorityClient
    AsyncTokenDecisions
    AsyncTokenSource AuthorityInfo CallerLimits ChannelKey ChatService ClientClosed
    ConfigurationError ConnectionCheck ConvoAiService Credential DEFAULT_TARGET DeadlineExceeded
    Decision DecodedField Denied EducationService FailedPrecondition FcdnService FieldViolation
    Finding FpaService Grant Inspection InternalError InvalidRequest IssuedToken JwtFile
    LocalInspector PermissionDenied RateLimited ResourceExhausted Rtm2Service RtcPrivileges
    RtcService RtmAccess RtmLogin RtmPermission RtmResourceType RtmService ServerSettings Session
    SessionSource Signature
    SigningKey StreamingService SttService Tls TokenAuthorityClient TokenAuthorityError
    TokenDecisions TokenRequest TokenRequests TokenSource TooManyInFlight Unauthenticated
    Unavailable Unimplemented prepare
"""


def test_the_exported_names_are_these() -> None:
    assert sorted(token_authority_client.__all__) == sorted(NAMES.split())
    for name in token_authority_client.__all__:
        assert hasattr(token_authority_client, name)


def test_every_module_of_the_client_is_private() -> None:
    modules = [path.stem for path in (CLIENT / "token_authority_client").glob("*.py")]
    assert len(modules) > 20
    assert [name for name in modules if not name.startswith("_")] == []


def test_nobody_else_imports_private_modules() -> None:
    sources = [
        path
        for folder in ("token_authority_cli", "examples", "../server/token_authority_testing")
        for path in (CLIENT / folder).rglob("*.py")
    ]
    assert len(sources) > 20
    private = re.compile(r"token_authority_client(\._| import (\w+, )*_)")
    assert [path.name for path in sources if private.search(path.read_text())] == []


def test_public_classes_are_shown_where_they_are_imported_from() -> None:
    for name in token_authority_client.__all__:
        value = getattr(token_authority_client, name)
        if inspect.isclass(value):
            assert value.__module__ == "token_authority_client"


DATACLASSES = [
    value
    for name in token_authority_client.__all__
    if dataclasses.is_dataclass(value := getattr(token_authority_client, name))
]


@pytest.mark.parametrize("value", DATACLASSES, ids=lambda value: value.__name__)
def test_every_attribute_of_a_public_dataclass_is_documented(value: Any) -> None:
    source = "".join(
        [path.read_text() for path in (CLIENT / "token_authority_client").glob("*.py")]
    )
    for base in value.__mro__[:-1]:
        body = source.partition(f"\nclass {base.__name__}")[2].partition("\n\n\n")[0]
        for name in inspect.get_annotations(base):
            assert re.search(rf'^    {name}: .+\n    """\w', body, re.MULTILINE), name


def test_methods_show_concrete_types() -> None:
    for client in CLIENTS:
        is_async = client is not TokenAuthorityClient
        for name in dir(prepare):
            if not name.startswith("issue_"):
                continue
            issued = inspect.signature(getattr(client, name)).return_annotation
            if is_async:
                assert issued.__args__[2] is IssuedToken
            else:
                assert issued is IssuedToken
            noun = name.removeprefix("issue_").removesuffix("_token")
            source = inspect.signature(getattr(client, f"{noun}_token_source"))
            assert source.return_annotation is (AsyncTokenSource if is_async else TokenSource)
            assert list(source.parameters) == list(
                inspect.signature(getattr(client, name)).parameters
            )
        for name, method in inspect.getmembers(client, inspect.isfunction):
            if not name.startswith("_"):
                assert "~" not in str(inspect.signature(method))
                assert "+" not in str(inspect.signature(method))


HOUR = timedelta(hours=1)
REQUESTS: dict[str, Callable[[Any], Any]] = {
    "_rtc_methods.py": lambda methods: methods.issue_rtc_token(
        channel="c",
        uid=7,
        privileges=RtcPrivileges(join_channel=HOUR),
        rtm=RtmLogin(user_id="a"),
        project="classroom",
    ),
    "_rtm_methods.py": lambda methods: methods.issue_rtm_token(
        user_id="a",
        permissions=[
            RtmPermission(access="read", resource_type="message_channel", resources=["c"])
        ],
        project="classroom",
    ),
    "_access_token_methods.py": lambda methods: methods.issue_access_token(
        services=[
            RtcService(channel="c", uid=7, join_channel=HOUR),
            ChatService(user_id="a"),
            EducationService(user_uuid="a", room_uuid="r", role=1),
        ],
        project="classroom",
    ),
}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("module", REQUESTS)
async def test_a_call_passes_at_most_five_files_on_its_way_to_the_wire(
    module: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests of this process trace.
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    files = set[str]()

    def note(frame: Any, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parent.name == "token_authority_client":
            files.add(path.name)

    def without_responses(client: Any) -> None:
        # Responses are read after the wire.
        client._mode = dataclasses.replace(client._mode, one=lambda _: sys.setprofile(None))

    def call_blocking(address: str) -> None:
        with TokenAuthorityClient(address) as client:
            REQUESTS[module](client)
            without_responses(client)
            sys.setprofile(note)
            REQUESTS[module](client)

    async with running() as server:
        if is_async:
            async with AsyncTokenAuthorityClient(server.address) as client:
                await REQUESTS[module](client)
                without_responses(client)
                sys.setprofile(note)
                await REQUESTS[module](client)
        else:
            await asyncio.to_thread(call_blocking, server.address)
    assert files == {
        module,
        "_message_builder.py",
        "_token_methods.py",
        "_connection.py",
        "_security.py",
    }
