"""Causes of failed connections: what is wrong and what to do."""

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
    """Why a connection fails, and what to do."""

    reason: str
    """The machine-readable reason, stable, in UPPER_SNAKE_CASE."""
    problem: str
    """What is wrong."""
    advice: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.problem}: {self.advice}"


class Diagnosed(Exception):
    """Ends the diagnosis of a connection: the cause of its failure was found."""

    def __init__(self, reason: str, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.diagnosis: Diagnosis = Diagnosis(reason, problem, advice)


def distrusted(
    error: ssl.SSLCertVerificationError, endpoint: Endpoint, name: str, security: Security
) -> Diagnosed:
    """Returns why the server's certificate was rejected."""
    if error.verify_code in _WRONG_NAME:
        return Diagnosed(
            "TLS_NAME_MISMATCH",
            f"the certificate of {endpoint} is not for {name}",
            "connect to a name in the certificate, or pass one as server_name (--server-name)",
        )
    if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
        return Diagnosed(
            "TLS_CERTIFICATE_EXPIRED",
            f"the certificate of {endpoint} is not valid now ({error.verify_message})",
            "renew the certificate on the server, and check this machine's clock",
        )
    trusted = "the CAs in ca" if security.material and security.material.ca else "public CAs"
    return Diagnosed(
        "TLS_UNKNOWN_CA",
        f"the certificate of {endpoint} is not issued by a trusted CA (trusted: {trusted})",
        "pass the issuing CA as ca (--ca), or check that the target is right",
    )


def broken(error: ssl.SSLError, endpoint: Endpoint, security: Security) -> Diagnosed:
    """Returns why the TLS handshake failed."""
    reason = error.reason or ""
    if "ALERT" in reason:
        alert = reason.split("ALERT_", 1)[-1].lower().replace("_", " ")
        return refused(endpoint, security, alert)
    if reason in {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"} or (
        "EOF" in reason or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    ):
        return Diagnosed(
            "TLS_NOT_SPOKEN",
            f"{endpoint} does not speak TLS",
            "connect without TLS if the server is on this machine, or configure TLS on the server",
        )
    return Diagnosed(
        "TLS_FAILED",
        f"TLS with {endpoint} fails ({reason})",
        "compare the TLS settings of client and server",
    )


def refused(endpoint: Endpoint, security: Security, alert: str = "") -> Diagnosed:
    """Returns why the server closed the connection after the handshake.

    Args:
        endpoint: The server.
        security: The client's settings.
        alert: The TLS alert that the server sent; "": none. gRPC servers send none, nor do load
            balancers without a backend.
    """
    how = f"with the alert '{alert}'" if alert else "without an alert"
    backend = "that a load balancer there reaches the token authority"
    closes = f"{endpoint} closes the connection after the TLS handshake, {how}"
    if security.has_client_certificate:
        return Diagnosed(
            "CLIENT_CERTIFICATE_REFUSED",
            f"{endpoint} rejects the client certificate, {how}" if alert else closes,
            "check that the client certificate has not expired and the server trusts its CA"
            + ("" if alert else f", and {backend}"),
        )
    return Diagnosed(
        "CLIENT_CERTIFICATE_REQUIRED",
        closes,
        "if it requires a client certificate, pass certificate and private_key (--cert, --key)"
        + ("" if alert else f"; otherwise check {backend}"),
    )


def no_grpc(endpoint: Endpoint, *, is_tls: bool = False) -> Diagnosed:
    """Returns the cause if the endpoint speaks another protocol than HTTP/2."""
    if is_tls:
        return Diagnosed(
            "NO_GRPC",
            f"{endpoint} speaks TLS but not HTTP/2, which gRPC needs",
            "enable HTTP/2 or gRPC on the ingress or load balancer there, or correct the port",
        )
    return Diagnosed(
        "NO_GRPC",
        f"{endpoint} does not speak HTTP/2, which gRPC needs",
        "check the port and any proxy",
    )


def silent(endpoint: Endpoint, *, is_tls: bool) -> Diagnosed:
    """Returns the cause if the endpoint accepts the connection and then sends no response."""
    after = "the TLS handshake" if is_tls else "the connection"
    return Diagnosed(
        "NO_ANSWER",
        f"{endpoint} accepts {after}, but then does not answer",
        "check the port, that the server is not overloaded, and that a load balancer there "
        "forwards HTTP/2 to the token authority",
    )
