"""A call whose caller was authenticated."""

from typing import Any, NamedTuple

from token_authority_server.access.callers import Caller


class CallContext(NamedTuple):
    """The authenticated caller and the call, for decisions and the audit trail."""

    caller: Caller
    identity: str
    peer: str
    method: str
    request_id: str = ""
    trace_id: str = ""
    """32 hex digits; "" without tracing."""

    def record(self, event: str) -> dict[str, Any]:
        """Returns the fields that all audit records of this call have."""
        record = {
            "event": event,
            "caller": self.caller.name,
            "identity": self.identity,
            "peer": self.peer,
            "method": self.method,
        }
        if self.request_id:
            record["request_id"] = self.request_id
        if self.trace_id:
            record["trace_id"] = self.trace_id
        return record
