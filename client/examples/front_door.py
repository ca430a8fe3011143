"""FastAPI: the routes of agora-token-service, for front ends and kits that already call them.

It needs `pip install fastapi uvicorn`, and runs in the folder client:

    uvicorn --no-access-log examples.front_door:app

Everything is refused until you implement `signed_in_uid` and fill ALLOWED. Server, TLS and
credential come from the environment variables of the command line, such as TOKEN_AUTHORITY_TARGET,
TOKEN_AUTHORITY_CA and TOKEN_AUTHORITY_TOKEN_FILE. FRONT_DOOR_KEY_FILE is a file with a random key
(`openssl rand -hex 32`), which signs the secrets in kits' URLs.
"""

import hashlib
import hmac
import logging
import math
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint

import token_authority_client as ta

_LOGGER = logging.getLogger(__name__)
_DAY: Final = 86400  # Agora ends every token after a day.
_STATUSES: Final = {ta.InvalidRequest: 400, ta.PermissionDenied: 403, ta.RateLimited: 429}
ALLOWED: Mapping[tuple[int, str], frozenset[str]] = {}
"""Roles by uid and channel; e.g. (7, "lesson-1"): {"publisher"} and (7, ""): {"rtm", "chat"}."""


async def signed_in_uid(_: Request) -> int:
    """Returns the uid of the signed-in user. Implement it; never take the uid from the URL."""
    raise HTTPException(401, "sign in first")


async def authorize(user: int, channel: str, role: str) -> bool:
    """Returns whether a user may have a role; a login has role "rtm" or "chat", and channel ""."""
    return role in ALLOWED.get((user, channel), ())


def account(user: int) -> str:
    """Returns the user's string account, RTM and Chat user ID. Change it if yours differ."""
    return str(user)


def kit_secret(key: bytes, user: int | str, end: int | str) -> str:
    """Returns a secret that identifies a user in a URL until `end` (Unix time in seconds)."""
    mac = hmac.digest(key, f"{user}.{end}".encode(), hashlib.sha256)
    return f"{user}.{end}.{mac.hex()}"


def _uid_of_secret(key: bytes, secret: str) -> int:
    user, end, _ = f"{secret}..".split(".", 2)
    genuine = hmac.compare_digest(secret.encode(), kit_secret(key, user, end).encode())
    if not key or not genuine or time.time() >= int(end):
        raise HTTPException(401, "fetch a new URL")
    return int(user)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Keeps the key, and one open client, while the program runs."""
    name = os.environ.get("FRONT_DOOR_KEY_FILE")
    app.state.key = Path(name).read_bytes().strip() if name else b""  # noqa: ASYNC240  # at start
    if name and len(app.state.key) < 32:
        raise ValueError("the key in FRONT_DOOR_KEY_FILE must have at least 32 bytes")
    async with ta.AsyncTokenAuthorityClient() as client:
        app.state.client = client
        yield


@dataclass(frozen=True)
class UserRequest:
    """Issues the tokens of one user's own identity, as far as `authorize` permits."""

    client: ta.AsyncTokenAuthorityClient
    user: int
    ttl: timedelta

    async def issue(self, *path: str) -> dict[str, str]:
        """Issues all tokens of a path or none; user IDs in the path are ignored."""
        if not all(path):
            raise HTTPException(400, "a part of the request is empty")
        match path:
            case ["rtc", *rtc] if len(rtc) == 4:
                requests = {"rtcToken": await self._rtc(*rtc)}
            case ["rte", *rtc] if len(rtc) in {4, 5}:
                rtm = await self._login("rtm")
                requests = {"rtcToken": await self._rtc(*rtc[:4]), "rtmToken": rtm}
            case ["rtm", _]:
                requests = {"rtmToken": await self._login("rtm")}
            case ["chat", "account", _]:
                requests = {"chatToken": await self._login("chat")}
            case ["chat", "app", *_]:
                raise HTTPException(403, "an app token would administer Chat")
            case _:
                raise HTTPException(400, "no such kind of token")
        issued = await self.client.issue_many(requests.values())
        return {name: one.token for name, one in zip(requests, issued, strict=True)}

    async def _rtc(self, channel: str, role: str, kind: str, uid: str) -> ta.TokenRequest:
        identity: dict[str, Any] = {"user_account": account(self.user)}
        if kind == "uid" and uid.isdecimal():
            identity = {"uid": self.user}
        elif kind != "userAccount":
            raise HTTPException(400, "the type must be uid, with an integer, or userAccount")
        may: dict[str, Any] = {"role": "publisher" if role == "publisher" else "subscriber"}
        await self._check(channel, may["role"])
        return ta.prepare.issue_rtc_token(channel=channel, ttl=self.ttl, **may, **identity)

    async def _login(self, product: str) -> ta.TokenRequest:
        await self._check("", product)
        issue = ta.prepare.issue_rtm_token if product == "rtm" else ta.prepare.issue_chat_token
        return issue(user_id=account(self.user), ttl=self.ttl)

    async def _check(self, channel: str, role: str) -> None:
        if not await authorize(self.user, channel, role):
            raise HTTPException(403, "you may not have this token")


async def user_request(
    request: Request, expiry: Annotated[int, Query(ge=1, le=_DAY)] = 3600
) -> UserRequest:
    """Authenticates the user: by the secret if the URL contains one, else by the sign-in."""
    state, secret = request.app.state, request.path_params.get("secret")
    user = _uid_of_secret(state.key, secret) if secret else await signed_in_uid(request)
    return UserRequest(state.client, user, timedelta(seconds=expiry))


Asked = Annotated[UserRequest, Depends(user_request)]
app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.get("/ping")
@app.get("/ping/")
async def ping() -> dict[str, str]:
    """Answers without a sign-in."""
    return {"message": "pong"}


@app.get("/{path:path}")
@app.get("/k/{secret}/{path:path}")  # the lower one is tried first
async def get_tokens(asked: Asked, path: str) -> dict[str, str]:
    """Issues the tokens of a path."""
    return await asked.issue(*path.removesuffix("/").split("/"))


class TokenBody(BaseModel):
    """What a POST asks for."""

    tokenType: str  # noqa: N815  # as it is sent
    channel: str = ""
    role: str = ""
    uid: str = ""
    expire: Annotated[int, Field(ge=0, le=_DAY)] = 0


@app.post("/getToken")
@app.post("/getToken/")
@app.post("/k/{secret}/getToken")
@app.post("/k/{secret}/getToken/")
async def get_token(asked: Asked, request: Request) -> dict[str, str]:
    """Issues one token. The body is JSON whatever its content type."""
    body = TokenBody.model_validate_json(await request.body())
    kind = "uid" if body.uid.isdecimal() else "userAccount"
    paths = {
        "rtc": ["rtc", body.channel, body.role or "subscriber", kind, body.uid],
        "rtm": ["rtm", body.uid],
        "chat": ["chat", "account", body.uid] if body.uid else ["chat", "app"],
    }
    asked = replace(asked, ttl=timedelta(seconds=body.expire or 3600))
    (token,) = (await asked.issue(*paths.get(body.tokenType, []))).values()
    return {"token": token}


@app.middleware("http")
async def forbid_caching(request: Request, respond: RequestResponseEndpoint) -> Response:
    """Adds the headers of agora-token-service."""
    response = await respond(request)
    response.headers["Cache-Control"] = "private, no-cache, no-store, must-revalidate"
    response.headers.update({"Expires": "-1", "Pragma": "no-cache"})
    return response


@app.exception_handler(HTTPException)
@app.exception_handler(RequestValidationError)
@app.exception_handler(ValidationError)
@app.exception_handler(ta.TokenAuthorityError)
async def refuse(request: Request, error: Exception) -> Response:
    """Answers 4xx if the request cannot succeed now, 5xx if operators have to act."""
    headers, status, text = dict[str, str](), 400, "a parameter is missing, or not of its type"
    if isinstance(error, HTTPException):
        status, text = error.status_code, error.detail
    if isinstance(error, ta.TokenAuthorityError):
        status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 503)
        text = "no token"  # the error's text is not for browsers
        level = logging.WARNING if status < 500 else logging.ERROR
        _LOGGER.log(level, "no token: %s [%s %s]", error, error.code, error.reason)
        if error.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    if request.method == "POST":
        return PlainTextResponse(text, status, headers)
    return JSONResponse({"message": text, "status": status}, status, headers)
