"""Audit trail: a record of every decision, in files that show tampering.

`AuditTrail` writes while the server runs; `verify`, `find_*` and `read_trail` read the files later.
Each record is a line (see `record`) with the hash of the line before it.

The chain reveals a line that was altered, removed, inserted or moved, unless every later line was
rewritten as well. It cannot reveal that the last lines were cut off while no server was writing, or
that everything from some line on was rewritten. Against both, compare the number and hash of the
last record, which `verify` prints, with a copy kept elsewhere.
"""

from token_authority_server.audit.file import FileSink, FsyncPolicy, check_audit_file
from token_authority_server.audit.find import (
    Found,
    expire_time_of,
    find_signed_by,
    find_token,
    find_usable_by,
    token_id_of,
)
from token_authority_server.audit.key_records import KeyRecords, TrailRecords, read_trail
from token_authority_server.audit.record import redact_tokens, rfc_3339
from token_authority_server.audit.report import Problem, Report
from token_authority_server.audit.sinks import AuditError, Sink, StreamSink
from token_authority_server.audit.trail import AuditTrail
from token_authority_server.audit.verify import verify

__all__ = [
    "AuditError",
    "AuditTrail",
    "FileSink",
    "Found",
    "FsyncPolicy",
    "KeyRecords",
    "Problem",
    "Report",
    "Sink",
    "StreamSink",
    "TrailRecords",
    "check_audit_file",
    "expire_time_of",
    "find_signed_by",
    "find_token",
    "find_usable_by",
    "read_trail",
    "redact_tokens",
    "rfc_3339",
    "token_id_of",
    "verify",
]
