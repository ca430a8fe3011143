"""A REST server around a restatement of Agora's Python builder, as sample servers are written."""

import logging
import os
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[2]))
from restated import rtc_token  # type: ignore[import-not-found]  # tests/bench/restated.py

app = FastAPI()
logger = logging.getLogger("uvicorn.error")


class Wanted(BaseModel):
    """The request's body."""

    channel: str
    uid: int
    expire: int


@app.get("/ping")
async def ping() -> str:
    """Answers, so that the benchmark knows the server is up."""
    return ""


@app.post("/rtc")
async def rtc(wanted: Wanted) -> dict[str, str]:
    """Issues any RTC token to anyone."""
    token = rtc_token(
        os.environ["APP_ID"],
        os.environ["APP_CERTIFICATE"],
        wanted.channel,
        wanted.uid,
        wanted.expire,
    )
    logger.info("issued rtc channel=%s uid=%d", wanted.channel, wanted.uid)
    return {"rtcToken": token}


if __name__ == "__main__":
    host, port = os.environ["LISTEN"].split(":")
    uvicorn.run(app, host=host, port=int(port), access_log=False)
