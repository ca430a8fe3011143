import hashlib

from support.keys import Moments, keyring
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.authority import Authority, fingerprint
from token_authority_server.kinds.rtc import Rtc


def test_a_fingerprint_is_the_first_half_of_sha256() -> None:
    assert fingerprint("abc") == hashlib.sha256(b"abc").hexdigest()[:32]


def test_an_outcome_does_not_show_its_token() -> None:
    request = IssueRtcTokenRequest(
        project="rtc-only", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
    )
    outcome = Authority(keyring(), Moments()).issue(Rtc(), request)
    assert outcome.token
    assert outcome.token not in repr(outcome)
    assert outcome.token_id == fingerprint(outcome.token)
