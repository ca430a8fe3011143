"""The signed part of a token, per format, and its check against a secret. Pure."""

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
    """A channel and a user, as a 006 token has them."""

    channel: str
    user: str


@dataclass(frozen=True, slots=True)
class Sealed006:
    """Channel and user are signed but not in the token, which has their CRCs."""

    product: ClassVar = AppCertificate.product

    app_id: str
    signature: bytes = field(repr=False)
    crc_channel: int
    crc_user: int
    message: bytes

    @property
    def size(self) -> int:
        """The number of signed bytes without channel and user."""
        return len(self.message)

    def fitting(self, subjects: Iterable[Subject]) -> Sequence[Subject]:
        """Returns the subjects with the token's CRCs, which are not signed."""
        return [
            subject
            for subject in subjects
            if (crc32(_utf8(subject.channel)), crc32(_utf8(subject.user)))
            == (self.crc_channel, self.crc_user)
        ]

    def sealed_by(self, secret: str, subjects: Sequence[Subject]) -> bool:
        """Tells whether it is signed with a certificate for one of the subjects."""
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
        """The number of signed bytes."""
        return len(self.signed)

    def fitting(self, _: Iterable[Subject]) -> Sequence[Subject]:
        """Returns one placeholder: the token itself has channel and user."""
        return [Subject("", "")]

    def sealed_by(self, secret: str, _: Sequence[Subject]) -> bool:
        """Tells whether it is signed with a certificate."""
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
        """The number of signed bytes."""
        return len(self.signed)

    def fitting(self, _: Iterable[Subject]) -> Sequence[Subject]:
        """Returns one placeholder: the token itself has everything."""
        return [Subject("", "")]

    def sealed_by(self, secret: str, _: Sequence[Subject]) -> bool:
        """Tells whether it is signed with a secret key."""
        made = signature_netless(_utf8(secret), self.signed)
        return hmac.compare_digest(made.encode(), _utf8(self.signature))


Sealed = Sealed006 | Sealed007 | SealedNetless


def _utf8(text: str) -> bytes:
    """Encodes any text; lone surrogates match nothing that was signed."""
    return text.encode(errors="surrogatepass")
