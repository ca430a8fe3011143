"""What the clients do with requests, written once for asyncio and blocking calls."""

import copy
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

from token_authority_client import _batches
from token_authority_client._call_options import CallOptions, Timeout, seconds_of
from token_authority_client._connection import Connection
from token_authority_client._errors import InvalidRequest
from token_authority_client._families import TokenMethods
from token_authority_client._responses import IssueMode
from token_authority_client._token_request import TokenRequest

OneT_co = TypeVar("OneT_co", covariant=True)
ManyT_co = TypeVar("ManyT_co", covariant=True)


class SentTokenMethods(TokenMethods[OneT_co], Generic[OneT_co, ManyT_co]):
    """The methods that issue tokens, or with `validate_only` return decisions.

    Args:
        connection: The connection to the server.
        options: The options of calls.
        project: The project of requests that name none.
        mode: Whether to issue or only validate.
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
        timeout: Timeout | None = None,
        wait_for_ready: bool | None = None,
        request_id: str | None = None,
    ) -> Self:
        """Returns a copy of the client with other options; it shares the connection.

            client.with_options(request_id=incoming_id).issue_rtc_token(…)

        Args:
            timeout: How long a call may take, retries included: seconds or a timedelta.
            wait_for_ready: Whether a call waits until a server is reachable or `timeout` ends.
            request_id: Sent as `x-request-id` for the server's log and audit trail: 1 to 128
                visible ASCII characters.

        Raises:
            ConfigurationError: An option is unusable.
        """
        now = self._options
        view = copy.copy(self)
        view._options = CallOptions(  # noqa: SLF001  # of the same class
            seconds=now.seconds if timeout is None else seconds_of(timeout),
            wait_for_ready=now.wait_for_ready if wait_for_ready is None else wait_for_ready,
            request_id=now.request_id if request_id is None else request_id,
        )
        return view

    def issue(self, request: TokenRequest) -> OneT_co:
        """Sends one request made by `prepare`; see `issue_many` for several.

        Raises:
            TokenAuthorityError: The token was not issued; see its subclasses.
        """
        result: OneT_co = self._run(self._issue(request))
        return result

    def issue_many(
        self, requests: Iterable[TokenRequest], *, chunk_size: int | None = None
    ) -> ManyT_co:
        """Sends any number of requests made by `prepare`, of any families.

            requests = [prepare.issue_rtc_token(channel="c", uid=n, role="publisher") for n in …]
            tokens = client.issue_many(requests)

        One call issues all of its tokens or none. A list of more than `chunk_size` requests or
        512 KiB takes several calls, one after the other, each within the client's timeout. If one
        of them fails, no tokens are returned, and no further call is made. If the server accepts
        only smaller batches from the caller (`CallerLimits.max_batch_size`), the list is split
        accordingly.

        Args:
            requests: The requests.
            chunk_size: The most requests in one call: 1 to 500. Default: 500.

        Returns:
            One result per request, in the same order.

        Raises:
            TokenAuthorityError: A call failed; see its subclasses. Its violations count from the
                start of the list: `requests[503].rtc.uid`.
        """
        result: ManyT_co = self._run(self._issue_many(requests, chunk_size))
        return result

    def _run(self, coroutine: Any) -> Any:
        return self._connection.run(coroutine)

    async def _call(self, method: str, request: Any) -> Any:
        return await self._connection.call(method, request, self._options)

    async def _issue(self, request: TokenRequest) -> Any:
        mode = self._mode
        # A copy: the request may be sent by several threads, for other projects.
        message: Any = type(request.message)()
        message.CopyFrom(request.message)
        message.project = message.project or self._project
        message.validate_only = mode.validate_only
        return mode.one(await self._call(request.method, message))

    async def _issue_many(
        self, requests: Iterable[TokenRequest], chunk_size: int | None
    ) -> list[Any]:
        mode, results = self._mode, list[Any]()
        all_requests = _batches.checked_requests(requests)
        size = _batches.checked_chunk_size(chunk_size)
        while len(results) < len(all_requests):
            batch = _batches.take(
                all_requests, len(results), size, self._project, validate_only=mode.validate_only
            )
            try:
                with batch.list_indexes():
                    response = await self._call("BatchIssueTokens", batch.message)
            except InvalidRequest as error:
                # Nothing was issued, so the same requests can be sent in smaller batches.
                accepted = _batches.accepted_size(error, batch)
                if accepted is None:
                    raise
                size = accepted
            else:
                results += mode.many(response, len(batch.message.requests))
        return results
