"""The signed part of a token of each format: tells whether a secret sealed it. Pure."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from zlib import crc32

from token_authority_server.formats.access_token_006 import signature_006
from token_authority_server.formats.access_token_007 import signature_007
from token_authority_server.formats.netless import signature_netless
from token_authority_server.keyring import AccessKey, AppCertificate


class Subject(NamedTuple):
    """A channel and a user, as a 006 token would have them."""

    channel: str
    user: str


@dataclass(frozen=True, slots=True)
class Sealed006:
    """Channel and user are signed, and not in the token: its CRCs tell them apart."""

    product: ClassVar = AppCertificate.product

    app_id: str
    signature: bytes = field(repr=False)
    crc_channel: int
    crc_user: int
    message: bytes

    @property
    def size(self) -> int:
        """How many bytes are signed, channel and user apart."""
        return len(self.message)

    def fitting(self, subjects: Iterable[Subject]) -> Sequence[Subject]:
        """Returns those that have the token's CRCs, which are not signed themselves."""
        return [
            subject
            for subject in subjects
            if (crc32(_utf8(subject.channel)), crc32(_utf8(subject.user)))
            == (self.crc_channel, self.crc_user)
        ]

    def sealed_by(self, secret: str, subjects: Sequence[Subject]) -> bool:
        """Tells whether a certificate made the signature for one of these."""
        app_id = self.app_id.encode()
        is_one = False
        for channel, user in subjects:
            made = signature_006(secret, app_id + _utf8(channel) + _utf8(user) + self.message)
            is_one |= hmac.compare_digest(made, self.signature)
        return is_one


@dataclass(frozen=True, slots=True)
class Sealed007:
    """Everything but the signature is signed."""

    product: ClassVar = AppCertificate.product

    signature: bytes = field(repr=False)
    signed: bytes
    issued_at: bytes
    salt: bytes

    @property
    def size(self) -> int:
        """How many bytes are signed."""
        return len(self.signed)

    def fitting(self, _: Iterable[Subject]) -> Sequence[Subject]:
        """Returns a stand-in: the token has channel and user itself."""
        return [Subject("", "")]

    def sealed_by(self, secret: str, _: Sequence[Subject]) -> bool:
        """Tells whether a certificate made the signature."""
        made = signature_007(secret, self.issued_at, self.salt, self.signed)
        return hmac.compare_digest(made, self.signature)


@dataclass(frozen=True, slots=True)
class SealedNetless:
    """The JSON of all fields is signed."""

    product: ClassVar = AccessKey.product

    signature: str = field(repr=False)
    signed: bytes

    @property
    def size(self) -> int:
        """How many bytes are signed."""
        return len(self.signed)

    def fitting(self, _: Iterable[Subject]) -> Sequence[Subject]:
        """Returns a stand-in: the token has everything itself."""
        return [Subject("", "")]

    def sealed_by(self, secret: str, _: Sequence[Subject]) -> bool:
        """Tells whether a secret key made the signature."""
        made = signature_netless(_utf8(secret), self.signed)
        return hmac.compare_digest(made.encode(), _utf8(self.signature))


Sealed = Sealed006 | Sealed007 | SealedNetless


def _utf8(text: str) -> bytes:
    """Encodes any text: what has no encoding matches nothing that was signed."""
    return text.encode(errors="surrogatepass")
