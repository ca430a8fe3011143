"""`[server.tls]`, `[authentication]` and identities: what of them is refused, and how."""

import ssl
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from support import granting
from support.certificates import server_identity, write_tls
from support.jwks import AUDIENCE, IDENTITY, ISSUER, Signer, key_set
from support.live import BY_KEY, BY_PLACE, PROJECT, caller
from support.profiling import functions_called
from support.serving import write_config
from token_authority_server.config import ConfigError, Settings
from token_authority_server.config.load import load

CA: Final = trustme.CA()
CERTIFICATE: Final = CA.issue_cert("localhost").cert_chain_pems[0].bytes().decode()
# The object identifier of a curve, and the version of X.509, in DER.
P_256: Final = bytes.fromhex("06082a8648ce3d030107")
V3: Final = bytes.fromhex("a003020102")
TLS: Final = '[server.tls]\ncertificate = "tls.pem"\nprivate_key = "tls.key"\n'
PUBLIC: Final = '[server]\nlisten = ["0.0.0.0:50051"]\n'
MUTUAL: Final = '[server]\nmtls_listen = ["127.0.0.1:50052"]\n'
CLIENT_CA: Final = 'client_ca = "ca.pem"\n'
JWT: Final = f'[authentication.jwt]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
URL: Final = JWT + 'jwks = "https://kubernetes.default.svc/openid/v1/jwks"\n'
SPIFFE: Final = caller("spiffe://example.org/lessons")


def loaded(folder: Path, text: str) -> Settings:
    """Loads a configuration beside good certificates, and bad ones."""
    ca = write_tls(folder, CA)
    (folder / "ca.pem").write_bytes(ca)
    (folder / "jwks.json").write_bytes(key_set(Signer("ES256")))
    (folder / "secret.json").write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}')
    (folder / "other.key").write_text(server_identity(CA).private_key.reveal())
    key = load_pem_private_key((folder / "tls.key").read_bytes(), None)
    (folder / "locked.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    der = ssl.PEM_cert_to_DER_cert(CERTIFICATE)
    # Certificates of an unknown curve and version.
    for name, good, odd in (
        ("curve", P_256, P_256[:-1] + b"\x7f"),
        ("version", V3, V3[:-1] + b"\5"),
    ):
        assert good in der
        (folder / f"{name}.pem").write_text(ssl.DER_cert_to_PEM_cert(der.replace(good, odd, 1)))
    return load(write_config(folder, text + PROJECT), {})


GOOD: Final = {
    "TLS for all": PUBLIC + TLS + BY_KEY,
    "plaintext where a mesh adds TLS": PUBLIC + "allow_plaintext = true\n" + BY_KEY,
    "mTLS": MUTUAL + TLS + CLIENT_CA + SPIFFE,
    "mTLS alone": MUTUAL + "listen = []\n" + TLS + CLIENT_CA + SPIFFE,
    "JWTs by a URL": URL + caller(IDENTITY),
    "JWTs by a file": JWT + 'jwks = { file = "jwks.json" }\n' + caller(IDENTITY),
    "local on the loopback": '[server]\nlisten = ["[::1]:1", "unix:/run/x"]\n' + BY_PLACE,
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_allowed(tmp_path: Path, what: str) -> None:
    assert loaded(tmp_path, GOOD[what]).callers


MISTAKES: Final = {
    "plaintext for all": (PUBLIC + BY_KEY, "other machines can connect to 0.0.0.0:50051"),
    "mTLS without TLS": (MUTUAL + SPIFFE, "mtls_listen needs [server.tls] with client_ca"),
    "mTLS without a CA": (MUTUAL + TLS + SPIFFE, "mtls_listen needs [server.tls] with client_ca"),
    "mTLS on a unix socket": (
        '[server]\nmtls_listen = ["unix:/run/x"]\n' + TLS + CLIENT_CA + BY_KEY,
        "mtls_listen cannot contain a unix socket, which has no TLS",
    ),
    "another's key": (
        TLS.replace("tls.key", "other.key") + BY_KEY,
        "private_key does not match certificate",
    ),
    "a key with a passphrase": (
        TLS.replace("tls.key", "locked.key") + BY_KEY,
        "has a passphrase: remove the passphrase",
    ),
    **{
        f"{file} as the certificate": (
            TLS.replace("tls.pem", file) + BY_KEY,
            "certificate contains no readable PEM certificate",
        )
        for file in ("tls.key", "curve.pem", "version.pem")
    },
    **{
        f"{file} as the client CA": (
            MUTUAL + TLS + CLIENT_CA.replace("ca.pem", file) + SPIFFE,
            "client_ca contains no readable PEM certificate",
        )
        for file in ("tls.key", "version.pem")
    },
    "a file that is not there": (TLS.replace("tls.key", "gone") + BY_KEY, "No such file"),
    "local for all": (PUBLIC + TLS + BY_PLACE, "'local' would admit every client that reaches"),
    "local behind a mesh": (
        "[server]\nallow_plaintext = true\n" + BY_PLACE,
        "'local' would admit every client that reaches",
    ),
    "local beside mTLS for all": (
        '[server]\nmtls_listen = ["0.0.0.0:1"]\n' + TLS + CLIENT_CA + BY_PLACE,
        "'local' would admit every client that reaches",
    ),
    "a certificate's name without mTLS": (SPIFFE, "needs server.mtls_listen"),
    "a claim without JWTs": (caller(IDENTITY), "needs [authentication.jwt]"),
    "an identity twice": (
        BY_KEY + caller(granting.API_KEY_IDENTITY, "other"),
        "caller 'tester' has the same identity",
    ),
    "a key instead of its hash": (caller(f"api-key:{granting.API_KEY}"), "must be "),
    "the hash of nothing": (
        caller("api-key:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        "is the hash of the empty string",
    ),
    "a pattern for an identity": (caller("dns:*.example.org"), "must be "),
    "keys over http": (
        URL.replace("https:", "http:") + caller(IDENTITY),
        "must be an https:// URL: over http, an attacker could replace the keys and impersonate ",
    ),
    "keys from a file URL": (
        JWT + 'jwks = "file:///etc/passwd"\n' + caller(IDENTITY),
        "must be a URL with a host",
    ),
    "a password in the URL": (
        JWT + 'jwks = "https://me:secret@example.org/"\n' + caller(IDENTITY),
        "without a password",
    ),
    "a port that is none": (
        JWT + 'jwks = "https://example.org:99999/"\n' + caller(IDENTITY),
        "a port up to 65535",
    ),
    "a line break in the URL": (
        JWT + 'jwks = "https://example.org/\\r\\nx: y"\n' + caller(IDENTITY),
        "must be printable ASCII characters without spaces",
    ),
    "keys that are shared secrets": (
        JWT + 'jwks = { file = "secret.json" }\n' + caller(IDENTITY),
        "has no key that can verify a signature",
    ),
    "no keys at all": (
        JWT + 'jwks = { file = "tls.pem" }\n' + caller(IDENTITY),
        "is not a JSON Web Key Set",
    ),
    "any audience": (URL.replace(AUDIENCE, "") + caller(IDENTITY), "audience"),
    "too much leeway": (URL + 'leeway = "6m"\n' + caller(IDENTITY), "must be at most 5m"),
    "a CA for a file": (
        JWT + 'jwks = { file = "jwks.json" }\njwks_ca = "ca.pem"\n' + caller(IDENTITY),
        "jwks_ca and jwks_token_file require a URL in jwks",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_what_is_refused_is_one_line_that_says_what_to_do(tmp_path: Path, what: str) -> None:
    text, expected = MISTAKES[what]
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    (line,) = str(caught.value).splitlines()
    assert expected in line
    for secret in ("BEGIN", "me:secret", granting.API_KEY):
        assert secret not in line


def test_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    settings = loaded(tmp_path, URL + 'jwks_token_file = "token"\n' + caller(IDENTITY))
    assert settings.authentication.jwt
    location = settings.authentication.jwt.location()
    assert location
    assert location.token_file == tmp_path / "token"


def test_certificates_are_parsed_once_for_all_questions_when_they_expire(tmp_path: Path) -> None:
    """The event loop asks twice a second, and each scrape of the metrics."""
    tls = loaded(tmp_path, GOOD["mTLS"]).server.tls
    assert tls
    with functions_called() as called:
        expiries = tls.not_after(), *tls.expiries.values()
    assert "load_pem_x509_certificates" not in called
    assert len(expiries) == 3
    assert expiries[0] == expiries[1]
