"""What the clients do with a request, written once for both ways to wait."""

import copy
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from token_authority_client import _batches
from token_authority_client._connection import CallOptions, Connection
from token_authority_client._requests import TokenMethods
from token_authority_client._responses import IssueMode
from token_authority_client._token_request import TokenRequest

OneT_co = TypeVar("OneT_co", covariant=True)
ManyT_co = TypeVar("ManyT_co", covariant=True)


class SentTokenMethods(TokenMethods[OneT_co], Generic[OneT_co, ManyT_co]):
    """The methods for tokens, or for decisions about them.

    Args:
        connection: Where to send requests.
        options: How.
        project: The project of requests that name none.
        mode: What to ask for.
    """

    def __init__(
        self, connection: Connection, options: CallOptions, project: str, mode: IssueMode[Any]
    ) -> None:
        self._connection = connection
        self._options = options
        self._project = project
        self._mode = mode

    def with_options(
        self,
        *,
        timeout: timedelta | None = None,
        wait_for_ready: bool | None = None,
        request_id: str | None = None,
    ) -> Self:
        """Returns the same client, whose calls differ in what is given; it shares the connection.

            client.with_options(request_id=incoming_id).issue_rtc_token(…)

        Args:
            timeout: How long a call may take, retries included.
            wait_for_ready: Whether to wait for a server, as long as `timeout` allows, where there
                is none.
            request_id: Goes along as `x-request-id`, for the server's log and audit trail: 1 to 128
                visible ASCII characters.

        Raises:
            ValueError: One of them cannot be used.
        """
        now = self._options
        view = copy.copy(self)
        view._options = CallOptions(  # noqa: SLF001  # our own
            timeout=now.timeout if timeout is None else timeout,
            wait_for_ready=now.wait_for_ready if wait_for_ready is None else wait_for_ready,
            request_id=now.request_id if request_id is None else request_id,
        )
        return view

    def issue(self, request: TokenRequest) -> OneT_co:
        """Sends one request that `prepare` made; see `issue_many` for several.

        Raises:
            TokenAuthorityError: No token; see its subclasses.
        """
        result: OneT_co = self._run(self._issue(request))
        return result

    def issue_many(self, requests: Iterable[TokenRequest]) -> ManyT_co:
        """Sends any number of requests, of any kinds, that `prepare` made.

            requests = [prepare.issue_rtc_token(channel="c", uid=n, role="publisher") for n in …]
            tokens = client.issue_many(requests)

        Up to 500 requests of 512 KiB in all travel in one call, which issues all of their tokens or
        none. A longer list takes several calls, one after the other, each within the client's
        timeout: when one of them fails, what those before it brought is not returned, and what
        comes after it is not asked for.

        Returns:
            One answer for each request, in their order.

        Raises:
            TokenAuthorityError: Not all of them; see its subclasses. Its violations count from the
                start of the list: `requests[503].rtc.uid`.
        """
        result: ManyT_co = self._run(self._issue_many(requests))
        return result

    def _run(self, coroutine: Any) -> Any:
        return self._connection.run(coroutine)

    async def _call(self, method: str, request: Any) -> Any:
        return await self._connection.call(method, request, self._options)

    async def _issue(self, request: TokenRequest) -> Any:
        mode = self._mode
        message = request.to_send(self._project, validate_only=mode.validate_only)
        return mode.one(await self._call(request.method, message))

    async def _issue_many(self, requests: Iterable[TokenRequest]) -> list[Any]:
        mode, results = self._mode, list[Any]()
        parts = _batches.split(requests, self._project, validate_only=mode.validate_only)
        for part in parts:
            with part.naming_places():
                answer = await self._call("BatchIssueTokens", part.message)
            results += mode.many(answer, len(part.message.requests))
        return results
