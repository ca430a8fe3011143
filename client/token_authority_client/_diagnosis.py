"""What can be in the way to a server, in words: what is wrong and what to do about it."""

import ssl
from dataclasses import dataclass
from typing import Final

from token_authority_client._security import Security
from token_authority_client._target import Endpoint

# X509_V_ERR_… of OpenSSL.
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_WRONG_NAME: Final = frozenset({62, 64})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a server cannot be asked, and what to do."""

    reason: str
    """Stable, in UPPER_SNAKE_CASE."""
    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.advice}"


class Diagnosed(Exception):
    """What stands in the way was found."""

    def __init__(self, reason: str, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.diagnosis: Diagnosis = Diagnosis(reason, problem, advice)


def distrusted(
    error: ssl.SSLCertVerificationError, endpoint: Endpoint, name: str, security: Security
) -> Diagnosed:
    """The server's certificate is not accepted here."""
    if error.verify_code in _WRONG_NAME:
        return Diagnosed(
            "TLS_NAME_MISMATCH",
            f"the certificate of {endpoint} is not for {name}",
            "connect by a name that it has, or say which it has (server_name, --server-name)",
        )
    if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
        return Diagnosed(
            "TLS_CERTIFICATE_EXPIRED",
            f"the certificate of {endpoint} is out of date ({error.verify_message})",
            "renew it on the server, and check this machine's clock",
        )
    trusted = (
        "those named by ca" if security.material and security.material.ca else "the public ones"
    )
    return Diagnosed(
        "TLS_UNKNOWN_CA",
        f"the certificate of {endpoint} is not from a CA that is trusted here, which are {trusted}",
        "trust the CA that issued it (ca, --ca), or check that the right server answers there",
    )


def broken(error: ssl.SSLError, endpoint: Endpoint, security: Security) -> Diagnosed:
    """TLS broke off."""
    reason = error.reason or ""
    if "ALERT" in reason:
        alert = reason.split("ALERT_", 1)[-1].lower().replace("_", " ")
        return refused(endpoint, security, f"with the alert '{alert}'")
    if reason in {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"} or (
        "EOF" in reason or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    ):
        return Diagnosed(
            "TLS_NOT_SPOKEN",
            f"{endpoint} does not speak TLS",
            "connect without TLS if it is on this machine, or give the server a certificate",
        )
    return Diagnosed(
        "TLS_FAILED", f"TLS with {endpoint} fails ({reason})", "compare the settings of both sides"
    )


def refused(endpoint: Endpoint, security: Security, how: str) -> Diagnosed:
    """The server broke off, after the handshake."""
    if security.has_client_certificate:
        return Diagnosed(
            "CLIENT_CERTIFICATE_REFUSED",
            f"{endpoint} refuses the client certificate, {how}",
            "check that it has not expired and is from a CA that the server trusts",
        )
    return Diagnosed(
        "CLIENT_CERTIFICATE_REQUIRED",
        f"{endpoint} breaks off after the handshake, {how}",
        "it may want a client certificate: give certificate and private_key (--cert, --key)",
    )


def no_grpc(endpoint: Endpoint) -> Diagnosed:
    """Something else answers there."""
    return Diagnosed(
        "NO_GRPC",
        f"{endpoint} does not speak HTTP/2, so no gRPC",
        "check the port, and any proxy in between",
    )
