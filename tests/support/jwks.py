"""An identity provider: keys, the JWTs it signs, and a real HTTP(S) server with its key set."""

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
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


class Signer:
    """A key pair of the provider, for one algorithm."""

    def __init__(self, algorithm: str, kid: str | None = "key-1") -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private: Any = _private_key(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as a key set has it."""
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
        """The public half, as an attacker would take it for a shared secret."""
        pem: bytes = self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def sign(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signs a good JWT with some changes; a claim that is None is left out."""
        return jwt.encode(
            claims_with(**claims),
            self.private,
            self.algorithm,
            headers=({"kid": self.kid} if self.kid else {}) if headers is None else headers,
        )


def claims_with(**changes: Any) -> dict[str, Any]:
    """Claims as Kubernetes writes them, with some changes; None leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": SUBJECT,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "lessons", "uid": "1"}},
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def key_set(*signers: Signer) -> bytes:
    """The key set of some signers."""
    return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()


def _private_key(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if curve := _CURVES.get(algorithm):
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


Answer = Callable[[BaseHTTPRequestHandler], None]


class KeyServer:
    """Serves a key set, or answers as a test wants."""

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
        else:
            send(handler, self.body)


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
    """Serves the key set of some signers while the block runs, over TLS if there is a CA."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            serving.respond(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
            """Says nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients go away on purpose."""

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
