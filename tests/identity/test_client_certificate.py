from ssl import DER_cert_to_PEM_cert

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from token_authority_server.errors import Reason, Refusal
from token_authority_server.identity.client_certificate import client_certificate

PEM = trustme.CA().issue_cert("lessons.internal").cert_chain_pems[0].bytes()
DER = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)
# Object ids of extensions: subject alternative name and extended key usage.
SUBJECT_NAMES, KEY_USAGE = bytes.fromhex("0603551d11"), bytes.fromhex("0603551d25")
STRANGE = {
    "a version that does not exist": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03"),
    "an extension twice": (KEY_USAGE, SUBJECT_NAMES),
    "a name of an unknown type": (b"\x82\x10lessons.internal", b"\x84\x10lessons.internal"),
}


def test_the_names_of_a_certificate() -> None:
    assert client_certificate(PEM).names == {"dns:lessons.internal"}


@pytest.mark.parametrize("what", STRANGE)
def test_a_certificate_that_cannot_be_parsed_is_invalid(what: str) -> None:
    old, new = STRANGE[what]
    assert old in DER
    strange = DER_cert_to_PEM_cert(DER.replace(old, new)).encode()
    with pytest.raises(Refusal) as caught:
        client_certificate(strange)
    assert caught.value.reason is Reason.CREDENTIAL_INVALID
