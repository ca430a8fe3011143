"""FastAPI: an endpoint that returns an RTC token to the browser of a signed-in user.

It needs `pip install fastapi uvicorn`, and runs in the folder client:

    uvicorn examples.fastapi_endpoint:app

It responds with 401 until you implement `signed_in_uid`. Server, TLS and credential come from the
environment variables of the command line, such as TOKEN_AUTHORITY_TARGET, TOKEN_AUTHORITY_CA and
TOKEN_AUTHORITY_TOKEN_FILE.
"""

import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

from token_authority_client import (
    AsyncTokenAuthorityClient,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    TokenAuthorityError,
)

_LOGGER = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Keeps one client open while the program runs."""
    async with AsyncTokenAuthorityClient() as client:
        app.state.token_authority = client
        yield


app = FastAPI(lifespan=lifespan)


class RtcToken(BaseModel):
    """The token to join with, and when to fetch the next one."""

    token: str
    uid: int
    renew_time: datetime | None


def signed_in_uid() -> int:
    """Returns the uid of the signed-in user. Implement it; never take the uid from the request."""
    raise HTTPException(401, "sign in first")


def token_authority(request: Request) -> AsyncTokenAuthorityClient:
    """Returns the client."""
    client: AsyncTokenAuthorityClient = request.app.state.token_authority
    return client


@app.get("/channels/{channel}/token")
async def rtc_token(
    channel: str,
    response: Response,
    uid: Annotated[int, Depends(signed_in_uid)],
    client: Annotated[AsyncTokenAuthorityClient, Depends(token_authority)],
) -> RtcToken:
    """Issues the token. Check here whether this user may join this channel."""
    issued = await client.issue_rtc_token(channel=channel, uid=uid, role="publisher")
    response.headers["Cache-Control"] = "no-store"
    return RtcToken(token=issued.token, uid=uid, renew_time=issued.renew_time)


@app.exception_handler(TokenAuthorityError)
async def error_response(_: Request, error: TokenAuthorityError) -> Response:
    """Logs an error and returns its HTTP status; the error's text is not for browsers.

    4xx: this user's request cannot succeed now. 5xx: the operators have to act.
    """
    status = 503
    if isinstance(error, InvalidRequest):
        status = 400
    elif isinstance(error, PermissionDenied):
        status = 403
    elif isinstance(error, RateLimited):
        status = 429
    log = _LOGGER.warning if status < 500 else _LOGGER.error
    log("no RTC token: %s [%s %s]", error, error.code, error.reason)
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    return Response(status_code=status, headers=headers)
