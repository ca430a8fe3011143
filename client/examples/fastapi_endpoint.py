"""FastAPI: an endpoint that hands the browser of a signed-in user its RTC token.

It needs `pip install fastapi uvicorn`, and runs in the folder client:

    uvicorn examples.fastapi_endpoint:app

It answers 401 to everybody until you write `signed_in_uid`.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

from token_authority_client import (
    DEFAULT_TARGET,
    AsyncTokenAuthorityClient,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    TokenAuthorityError,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Keeps one client for as long as the program runs."""
    target = os.environ.get("TOKEN_AUTHORITY_TARGET", DEFAULT_TARGET)
    async with AsyncTokenAuthorityClient(target) as client:
        app.state.token_authority = client
        yield


app = FastAPI(lifespan=lifespan)


class RtcToken(BaseModel):
    """What the browser joins with, and when it has to ask again."""

    token: str
    uid: int
    renew_time: datetime | None


def signed_in_uid() -> int:
    """Returns the uid of whoever has signed in: yours to write. Never take it from the request."""
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
    """Issues the token; whether this user may join this channel is yours to check."""
    issued = await client.issue_rtc_token(channel=channel, uid=uid, role="publisher")
    response.headers["Cache-Control"] = "no-store"
    return RtcToken(token=issued.token, uid=uid, renew_time=issued.renew_time)


@app.exception_handler(TokenAuthorityError)
async def refused(_: Request, error: Exception) -> Response:
    """Answers with a status of HTTP; the error's text is for the log, not for browsers."""
    headers: dict[str, Any] = {}
    status = 503
    if isinstance(error, InvalidRequest):
        status = 400
    elif isinstance(error, PermissionDenied):
        status = 403
    elif isinstance(error, RateLimited):
        status = 429
        if error.retry_after is not None:
            headers["Retry-After"] = f"{error.retry_after.total_seconds():.0f}"
    return Response(status_code=status, headers=headers)
