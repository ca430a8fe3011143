"""The sources that users see: of tokens and of sessions, for asyncio and for threads."""

from token_authority_client._session import Session
from token_authority_client._sources import AsyncSource, BlockingSource
from token_authority_client._values import IssuedToken


class AsyncTokenSource(AsyncSource[IssuedToken]):
    """Renews a token for any number of tasks of one event loop.

        async with client.rtc_token_source(channel="lesson-1", uid=7, role="publisher") as source:
            token = await source.get()

    The first `get` fetches a token; then the source fetches the next one in the background,
    shortly before `renew_time`. While no server is reachable, `get` returns the last token until it
    expires. Once the token is denied (`Denied`), it returns none. Closing the source or its client
    stops the renewal.
    """


class TokenSource(BlockingSource[IssuedToken]):
    """Renews a token for any number of threads, in a background thread.

        with client.rtc_token_source(channel="lesson-1", uid=7, role="publisher") as source:
            token = source.get()

    The first `get` fetches a token; then the source fetches the next one in the background,
    shortly before `renew_time`. While no server is reachable, `get` returns the last token until it
    expires. Once the token is denied (`Denied`), it returns none. Closing the source or its client
    stops the renewal.
    """


class AsyncSessionSource(AsyncSource[Session]):
    """Renews a session for any number of tasks: all of its tokens at once, like a token source.

    async with client.session_source(channel="lesson-1", uid=7, role="publisher") as source:
        session = await source.get()
    """


class SessionSource(BlockingSource[Session]):
    """Renews a session for any number of threads: all of its tokens at once, like a token source.

    with client.session_source(channel="lesson-1", uid=7, role="publisher") as source:
        session = source.get()
    """
