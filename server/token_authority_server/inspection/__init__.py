"""Explains any token: its content, its signer, and why it is refused.

Pure: no clock, no input or output; it uses the standard library, the token formats and the
keyring's values. Every text gets an answer in bounded time and memory, without the token or a
secret.
"""

from token_authority_server.inspection.agora_errors import Product
from token_authority_server.inspection.decoded import Field
from token_authority_server.inspection.expected import Expected
from token_authority_server.inspection.exposure import ExposedSecret, KnownSecrets
from token_authority_server.inspection.findings import Finding, FindingReason, Severity
from token_authority_server.inspection.inspect import Inspection, inspect_token, inspection_steps
from token_authority_server.inspection.verify import Signature, Verdict

__all__ = [
    "Expected",
    "ExposedSecret",
    "Field",
    "Finding",
    "FindingReason",
    "Inspection",
    "KnownSecrets",
    "Product",
    "Severity",
    "Signature",
    "Verdict",
    "inspect_token",
    "inspection_steps",
]
