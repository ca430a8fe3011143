"""Issues a token of every kind and shows what is in it: `make demo`.

Starts a development server on a free port, asks it through the Python client as any service would,
decodes the answers, shows one refusal, and stops the server.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable
from datetime import timedelta

from support.decoding import decode
from support.serving import serving
from token_authority_client import (
    AsyncTokenAuthorityClient,
    InvalidRequest,
    IssuedToken,
    RtcPrivileges,
    RtcService,
    RtmLogin,
    RtmPermission,
    RtmService,
)

MINUTE = timedelta(minutes=1)


async def show(title: str, call: Awaitable[IssuedToken]) -> None:
    """Prints a token, its claims and what there is to know about it."""
    issued = await call
    print(f"\n{title}\n  {issued.token}")
    for name, value in decode(issued.token).fields.items():
        print(f"    {name:13}{json.dumps(value) if isinstance(value, list) else value}")
    end = "never" if issued.expire_time is None else f"{issued.expire_time:%Y-%m-%d %H:%M:%S} UTC"
    print(f"  expires {end}; signed by {issued.key_id}; token id {issued.token_id}")
    for advisory in issued.advisories:
        print(f"  note: {advisory.description} [{advisory.reason}]")


async def main() -> int:
    """Shows everything; returns the server's exit code."""
    async with serving("--dev", "--listen", "127.0.0.1:0") as server:
        print(f"development server on {server.address}")
        async with AsyncTokenAuthorityClient(server.address) as client:
            rtc, whiteboard = client.issue_rtc_token, client.issue_whiteboard_token
            await show("RTC, publisher", rtc(channel="lesson-1", uid=7, role="publisher"))
            await show(
                "RTC, subscriber with a string account",
                rtc(channel="lesson-1", user_account="alice", role="subscriber", ttl=MINUTE),
            )
            await show(
                "RTC, a lifetime for each right",
                rtc(
                    channel="lesson-1",
                    uid=7,
                    privileges=RtcPrivileges(join_channel=10 * MINUTE, publish_audio=MINUTE),
                ),
            )
            await show("RTC, any channel", rtc(any_channel=True, uid=7, role="publisher"))
            await show(
                "RTC, any user, with an RTM login",
                rtc(channel="lesson-1", any_user=True, role="publisher", rtm=RtmLogin("alice")),
            )
            await show("RTC, 006", rtc(channel="lesson-1", uid=7, role="publisher", format="006"))
            room = "4a50cb3b6a0c4b5e"
            await show("Whiteboard, room", whiteboard(room=room, role="writer", ttl=MINUTE))
            await show("Whiteboard, task", whiteboard(task=room, role="reader", ttl=MINUTE))
            await show("Whiteboard, SDK", whiteboard(sdk=True, role="admin", ttl=MINUTE))
            await show(
                "Whiteboard, for ever", whiteboard(room=room, role="reader", non_expiring=True)
            )
            rtm, chat = client.issue_rtm_token, client.issue_chat_token
            allowed = RtmPermission(
                access="read", resource_type="message_channel", resources=["news"]
            )
            await show("RTM", rtm(user_id="alice"))
            await show("RTM, with permissions", rtm(user_id="alice", permissions=[allowed]))
            await show("Chat, user", chat(user_id="5f1e3b9a-0c1d-4e8b-9a2f-3d7c6b5a4e10"))
            await show("Chat, app", chat(app=True, ttl=MINUTE))
            await show(
                "Education, user in a room",
                client.issue_education_token(room_uuid="math", user_uuid="alice", role=2),
            )
            joins = RtcService(channel="lesson-1", uid=7, join_channel=10 * MINUTE)
            logs_in = RtmService(user_id="alice")
            await show("Access token", client.issue_access_token(services=[joins, logs_in]))
            print("\nRTC, uid 0")
            try:
                await rtc(channel="lesson-1", uid=0, role="publisher")
            except InvalidRequest as error:
                print(f"  refused: {error}")
            else:
                return 1
        return await server.stop()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
