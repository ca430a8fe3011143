"""A fake identity provider: its keys and JWTs, and a real HTTP(S) server for its key set."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
AUDIENCE: Final = "token-authority"
SUBJECT: Final = "system:serviceaccount:prod:lessons"
IDENTITY: Final = f"jwt:sub={SUBJECT}"
_MEDIA_TYPE: Final = "application/jwk-set+json"  # RFC 7517, section 8.5
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


class Signer:
    """A key pair of the provider for one algorithm."""

    def __init__(self, algorithm: str, kid: str | None = "key-1") -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private: Any = _private_key(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as in a key set."""
        to_jwk: Any = jwt.get_algorithm_by_name(self.algorithm)
        row: dict[str, Any] = json.loads(to_jwk.to_jwk(self.private.public_key()))
        row.pop("key_ops", None)
        return {
            **row,
            "use": "sig",
            "alg": self.algorithm,
            **({"kid": self.kid} if self.kid else {}),
        }

    @property
    def public_pem(self) -> bytes:
        """The public key as an attacker would use it as a shared secret."""
        pem: bytes = self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def sign(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signs a valid JWT with some changes; a claim that is None is omitted."""
        return jwt.encode(
            claims_with(**claims),
            self.private,
            self.algorithm,
            headers=({"kid": self.kid} if self.kid else {}) if headers is None else headers,
        )


def claims_with(**changes: Any) -> dict[str, Any]:
    """Returns claims as in Kubernetes, with some changes; None omits a claim."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": SUBJECT,
        "iat": now,
        "nbf": now,
        # A JWT from the start of a slow run must outlive it.
        "exp": now + 86_400,
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "lessons", "uid": "1"}},
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def key_set(*signers: Signer) -> bytes:
    """Returns the key set of some signers."""
    return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()


def _private_key(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if curve := _CURVES.get(algorithm):
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


Answer = Callable[[BaseHTTPRequestHandler], None]


class KeyServer:
    """Server for a key set whose responses a test can change."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self._server = server
        self.url = f"{scheme}://127.0.0.1:{server.server_port}/jwks"
        self.body = b""
        self.answer: Answer | None = None
        self.requests: list[dict[str, str]] = []
        """The headers of each request, `:path` among them."""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        self.requests.append({":path": handler.path, **dict(handler.headers.items())})
        if self.answer:
            self.answer(handler)
        elif _MEDIA_TYPE not in handler.headers.get("Accept", _MEDIA_TYPE):
            # As a Kubernetes API server answers.
            send(handler, b"406: Not Acceptable", 406)
        else:
            send(handler, self.body, 200, **{"Content-Type": _MEDIA_TYPE})


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Sends one answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def key_server(*signers: Signer, ca: trustme.CA | None = None) -> Generator[KeyServer]:
    """Serves the key set of some signers, over TLS if a CA is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            serving.respond(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
            """Logs nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignores clients that disconnect on purpose."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if ca:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = KeyServer(server, "https" if ca else "http")
    serving.body = key_set(*signers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
