"""How to connect: TLS settings, credentials, and the environment variables that name them."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Final, Self

from token_authority_client._errors import unusable

DEFAULT_TARGET: Final = "127.0.0.1:50051"
"""Where `token-authority serve --dev` listens."""
# Without ports: an IPv6 address has several colons.
_NAME: Final = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no", ""})

PemSource = str | PathLike[str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS settings. Without arguments, the server needs a certificate of a public CA.

    A `str` or `Path` is the path of a PEM file; `bytes` are its content. Files are read again at
    most once a second while calls are made; new connections use the new content, open ones stay.

    Raises:
        ConfigurationError: Only one of `certificate` and `private_key` is set, or `server_name` is
            not a name.
    """

    ca: PemSource | None = None
    """The CAs to trust; None: the public CAs that grpcio bundles, not those of the machine."""
    certificate: PemSource | None = None
    """The client certificate and its intermediates, for servers that require one (mTLS)."""
    private_key: PemSource | None = field(default=None, repr=False)
    """The private key of `certificate`."""
    server_name: str | None = None
    """The name that the server's certificate must contain; None: the target's host."""

    def __post_init__(self) -> None:
        """Validates that certificate and key are given together, and that the name is one."""
        if (self.certificate is None) != (self.private_key is None):
            raise unusable(
                "a client certificate needs its private key",
                "set both certificate and private_key (--cert and --key), or neither",
            )
        if self.server_name is not None and not _is_name(self.server_name):
            raise unusable(
                f"server_name (--server-name) must be a host name or IP address; got "
                f"{self.server_name!r}",
                "write a name that the server's certificate contains, without a port",
            )


@dataclass(frozen=True, slots=True)
class ApiKeyFile:
    """A file that contains an API key, read again when it changes."""

    path: str | PathLike[str]
    """The file's path; leading and trailing white space in the file is ignored."""


@dataclass(frozen=True, slots=True)
class JwtFile:
    """A file that contains a JWT, e.g. a projected Kubernetes token, read again when it changes."""

    path: str | PathLike[str]
    """The file's path; leading and trailing white space in the file is ignored."""


Credential = str | ApiKeyFile | JwtFile | Callable[[], str]
"""An API key, a file with an API key or a JWT, or a function that returns one for each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Which server to call and how, as environment variables and command lines write it.

    Each attribute has an environment variable: `token_file` is `TOKEN_AUTHORITY_TOKEN_FILE`.
    """

    target: str = DEFAULT_TARGET
    """The server's address; see the clients' `target`."""
    token_file: str | None = None
    """The path of a file that contains an API key or a JWT."""
    tls: bool = False
    """Whether to use TLS; implied by the following settings."""
    ca: str | None = None
    """The path of a PEM file with the CAs to trust; None: public CAs."""
    cert: str | None = None
    """The path of a PEM file with the client certificate."""
    key: str | None = None
    """The path of a PEM file with its private key."""
    server_name: str | None = None
    """The name that the server's certificate must contain; None: the target's host."""

    @classmethod
    def variable(cls, name: str) -> str:
        """Returns the environment variable of an attribute."""
        return f"TOKEN_AUTHORITY_{name.upper()}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Reads the environment variables; empty ones count as unset.

        Args:
            environment: The variables; None: those of this process.

        Raises:
            ConfigurationError: `TOKEN_AUTHORITY_TLS` is neither yes nor no.
        """
        given = os.environ if environment is None else environment
        texts = {
            setting.name: given[cls.variable(setting.name)]
            for setting in fields(cls)
            if setting.name != "tls" and given.get(cls.variable(setting.name))
        }
        return cls(**texts, tls=_is_yes(cls.variable("tls"), given))

    def tls_settings(self) -> Tls | None:
        """Returns the TLS settings; None: plaintext.

        Raises:
            ConfigurationError: Only one of `cert` and `key` is set, or `server_name` is not a name.
        """
        if not (self.tls or self.ca or self.cert or self.key or self.server_name):
            return None
        return Tls(
            ca=self.ca, certificate=self.cert, private_key=self.key, server_name=self.server_name
        )

    def credential(self) -> ApiKeyFile | None:
        """Returns the credential file. API keys and JWTs are sent alike, so either may be in it."""
        return None if self.token_file is None else ApiKeyFile(self.token_file)


def _is_name(text: str) -> bool:
    """Whether TLS can send and verify a text as a server's name."""
    try:
        return bool(_NAME.fullmatch(text)) and bool(text.encode("idna"))
    except (TypeError, UnicodeError):
        return False


def _is_yes(variable: str, environment: Mapping[str, str]) -> bool:
    value = environment.get(variable, "")
    if value.lower() not in _YES | _NO:
        raise unusable(
            f"{variable} is {value!r}",
            "write 1, true or yes for TLS, 0, false, no or nothing for none",
        )
    return value.lower() in _YES
