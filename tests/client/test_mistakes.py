"""Mistakes of Python callers, and the sentences they get."""

from pathlib import Path
from typing import Any

import pytest

from support.clients import Either
from support.serving import Running
from token_authority_client import (
    ConfigurationError,
    InvalidRequest,
    RtcService,
    ServerSettings,
    TokenAuthorityError,
)
from token_authority_client._argument_names import argument_name

RTC: dict[str, Any] = {"channel": "room", "uid": 7, "role": "publisher"}
REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"channel": None}, "channel, any_channel or channel_pattern is required"),
    ({"uid": None, "role": None}, "uid, user_account or any_user is required; role or privileges is"
     " required"),
    ({"uid": "7"}, "uid must be an integer; got str '7': pass int(uid), or user_account='7'"),
    ({"uid": True}, "uid must be an integer; got bool"),
    ({"uid": 2**64}, "uid must be an integer of at most 64 bits"),
    ({"ttl": 3600}, "ttl must be a timedelta; got int 3600: pass timedelta(seconds=3600)"),
    ({"ttl": "1h"}, "ttl must be a timedelta; got str"),
    ({"channel": b"room"}, "channel must be a str; got bytes: decode it first"),
    ({"channel": "x" * 65}, "channel must be at most 64 bytes"),
    ({"any_channel": True}, "pass only one of channel, any_channel"),
    ({"channel_pattern": "c*"}, "pass only one of channel, channel_pattern"),
    ({"any_channel": "no", "channel": None}, "any_channel must be True or False; got str"),
]  # fmt: skip
CLIENTS: list[tuple[dict[str, Any], str]] = [
    (
        {"target": "127.0.0.1"},
        "the target '127.0.0.1' has no port: for example, write 127.0.0.1:50051",
    ),
    (
        {"target": "http://127.0.0.1:50051"},
        "the target 'http://127.0.0.1:50051' is a URL: write HOST:PORT without http://, and pass "
        "tls=Tls(…) (--tls or --ca) for TLS",
    ),
    (
        {"target": "ta.example.com:50051", "credential": "tak_0"},
        "the credential would be sent to ta.example.com:50051 in plaintext: pass tls=Tls(…) (--tls "
        "or --ca), or connect to a loopback address or unix socket",
    ),
    *[
        (
            {"credential": name},
            "credential is a file name, but a str must be the API key itself: pass "
            "ApiKeyFile(path) or JwtFile(path) to read it from a file",
        )
        for name in ("key.txt", "/run/secrets/key", "./key", "API.KEY")
    ],
    (
        {"timeout": "5s"},
        "timeout must be a number of seconds or a timedelta; got str: for example, "
        "pass 5 or timedelta(seconds=5)",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), REQUESTS)
async def test_requests(either: Either, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_rtc_token(**RTC | {"project": "classroom"} | changes)
    assert str(caught.value) == f"invalid request: {sentence}"
    assert caught.value.advice == sentence


async def test_a_service_is_named_by_its_place(either: Either) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await either.issue_access_token(
            services=[RtcService(channel="", uid=7), RtcService(uid=7)], project="classroom"
        )
    assert "services[0].channel must not be empty" in str(caught.value)
    assert "services[1]: channel, any_channel or channel_pattern is required" in str(caught.value)


@pytest.mark.parametrize(("arguments", "sentence"), CLIENTS)
def test_clients(client_type: Any, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_type(**{"target": "127.0.0.1:1", **arguments})
    assert str(caught.value) == sentence
    assert isinstance(caught.value, TokenAuthorityError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("channel_name", "channel"),
        ("room.room_uuid", "room"),
        ("task.task_uuid", "task"),
        ("user.user_id", "user_id"),
        ("room_user.role", "role"),
        ("rtm.user_id", "rtm.user_id"),
        ("ttl", "ttl"),
        ("rtm.ttl", "rtm.ttl"),
        ("privileges.join_channel_ttl", "privileges.join_channel"),
        ("permissions.permissions[2].resources[0]", "permissions[2].resources[0]"),
        ("services[3].rtm2.login_ttl", "services[3].login"),
        ("requests[3].rtc.channel_name", "requests[3].channel"),
        ("requests[3].access_token.services[0].rtc.uid", "requests[3].services[0].uid"),
        ("expected.channel_name", "channel"),
    ],
)
def test_fields_have_the_names_of_arguments(path: str, name: str) -> None:
    assert argument_name(path) == name


async def test_without_a_target_the_environment_is_read(
    client_type: Any, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", server.address)
    either = Either(client_type(project="classroom"))
    assert (await either.issue_rtc_token(**RTC)).token
    await either.close()
    monkeypatch.setenv("TOKEN_AUTHORITY_TARGET", "ta.example.com:1")
    monkeypatch.setenv("TOKEN_AUTHORITY_TOKEN_FILE", "/run/key")
    with pytest.raises(ConfigurationError, match=r"ta\.example\.com:1 in plaintext"):
        client_type()
    client_type(server.address)
    monkeypatch.setenv("TOKEN_AUTHORITY_CERT", "client.pem")
    with pytest.raises(ConfigurationError, match="needs its private key"):
        client_type()
    monkeypatch.setenv("TOKEN_AUTHORITY_TLS", "off")
    with pytest.raises(ConfigurationError, match="TOKEN_AUTHORITY_TLS is 'off'"):
        client_type()


def test_each_setting_has_a_variable(tmp_path: Path) -> None:
    variables = {
        ServerSettings.variable(name): f"{tmp_path}/{name}"
        for name in ("target", "token_file", "ca", "cert", "key", "server_name")
    }
    settings = ServerSettings.from_environment({**variables, "TOKEN_AUTHORITY_TLS": "yes"})
    assert settings == ServerSettings(
        target=f"{tmp_path}/target",
        token_file=f"{tmp_path}/token_file",
        tls=True,
        ca=f"{tmp_path}/ca",
        cert=f"{tmp_path}/cert",
        key=f"{tmp_path}/key",
        server_name=f"{tmp_path}/server_name",
    )
    assert ServerSettings.from_environment({"TOKEN_AUTHORITY_TARGET": ""}) == ServerSettings()
