"""The audit trail: a record of every decision, where an altered or missing one is found.

`AuditTrail` writes while the server runs; `verify` and `find` read without one. Each record is a
line (`record` says what stands in it) and carries the hash of the line before it.

What the chain shows: that a line was altered, removed, inserted or moved, whoever did it without
writing every later line anew. What it cannot show by itself: that the last lines were cut off while
no server was writing, or that everything from some line on was written anew. For both, compare the
number and hash of the last record, which `verify` prints, with a copy that is kept elsewhere.
"""

from token_authority_server.audit.file import FileSink, FsyncPolicy, check_audit_file
from token_authority_server.audit.find import Found, find_signed_by, find_token, token_id_of
from token_authority_server.audit.record import rfc_3339, without_token
from token_authority_server.audit.sinks import AuditError, Sink, StreamSink
from token_authority_server.audit.trail import AuditTrail
from token_authority_server.audit.verify import Problem, Report, verify

__all__ = [
    "AuditError",
    "AuditTrail",
    "FileSink",
    "Found",
    "FsyncPolicy",
    "Problem",
    "Report",
    "Sink",
    "StreamSink",
    "check_audit_file",
    "find_signed_by",
    "find_token",
    "rfc_3339",
    "token_id_of",
    "verify",
    "without_token",
]
