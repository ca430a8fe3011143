"""Signs 006 and 007 tokens with an App Certificate."""

from collections.abc import Iterable, Mapping

from token_authority_server.families.moment import Moment
from token_authority_server.families.terms import SECOND_MS, Terms
from token_authority_server.formats.access_token_006 import (
    TOKEN_SECONDS,
    build_access_token_006,
)
from token_authority_server.formats.access_token_007 import build_with_second_key
from token_authority_server.formats.service_packing import PackedService
from token_authority_server.keyring import AppCertificate


def ttl_seconds(terms: Terms) -> int:
    """Returns the lifetime of a token that expires, in the unit of 006 and 007."""
    assert terms.ttl_ms is not None
    return terms.ttl_ms // SECOND_MS


def sign_006(
    key: AppCertificate,
    terms: Terms,
    moment: Moment,
    channel: str,
    user: str,
    privileges: Mapping[int, int],
) -> str:
    """Builds a 006 token; `privileges` maps numbers to seconds from the issue time."""
    issued_at = terms.issue_ms // SECOND_MS
    return build_access_token_006(
        app_id=key.app_id,
        app_certificate=key.certificate.reveal(),
        channel_name=channel,
        uid=user,
        ends_at=issued_at + TOKEN_SECONDS,
        salt=moment.salt,
        # 006 counts from 1970, 007 from the issue time.
        privileges={privilege: issued_at + ttl_s for privilege, ttl_s in privileges.items()},
    )


def sign_007(
    key: AppCertificate, terms: Terms, moment: Moment, services: Iterable[PackedService]
) -> str:
    """Builds a 007 token."""
    issued_at = terms.issue_ms // SECOND_MS
    return build_with_second_key(
        app_id=key.app_id,
        second_key=key.second_key(issued_at),
        issued_at=issued_at,
        expire_seconds=ttl_seconds(terms),
        salt=moment.salt,
        services=services,
    )
