"""A server that requires TLS and an API key, as in production."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from support.granting import API_KEY, API_KEY_IDENTITY, caller, callers, grant
from support.keys import access_key, certificate
from support.serving import running
from token_authority_server.config.server_identity import ServerIdentity
from token_authority_server.keyring import Keyring, Project, Secret

__all__ = ["API_KEY", "KEYS", "Secured", "secured"]

# The only project, so requests need not name it.
KEYS: Final = Keyring([Project("classroom", (certificate(), access_key()))])


@dataclass(frozen=True)
class Secured:
    """The server's address, and the CA to trust."""

    target: str
    """`localhost:PORT`."""
    ca: Path
    wrong_ca: Path


@asynccontextmanager
async def secured(folder: Path) -> AsyncGenerator[Secured]:
    """Runs the server with reflection and with new certificates in a folder."""
    ca = trustme.CA()
    for name, authority in (("ca.pem", ca), ("wrong-ca.pem", trustme.CA())):
        authority.cert_pem.write_to_path(str(folder / name))
    issued = ca.issue_cert("localhost")
    identity = ServerIdentity(
        b"".join(pem.bytes() for pem in issued.cert_chain_pems),
        Secret(issued.private_key_pem.bytes().decode()),
        None,
    )
    who = callers(caller(grant(), identities=[API_KEY_IDENTITY]))
    # Its own channel is plaintext and never used.
    async with running(KEYS, who=who, identity=identity, with_reflection=True) as server:
        port = server.address.rpartition(":")[2]
        yield Secured(f"localhost:{port}", folder / "ca.pem", folder / "wrong-ca.pem")
