from support.granting import all_powerful
from support.keys import Moments, keyring
from support.serving import no_limits, no_trail
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.authority import Authority, Policy
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.kinds.rtc import Rtc


def test_an_issued_token_does_not_show_its_token() -> None:
    request = IssueRtcTokenRequest(
        project="rtc-only", channel_name="c", uid=1, role=RTC_ROLE_PUBLISHER
    )
    keys = keyring()
    callers = all_powerful(keys.project_names)
    authority = Authority(Policy(keys, callers), Moments(), no_limits(), no_trail())
    caller = callers.by_name["tester"]
    issued = authority.sign(authority.allow(caller, Rtc(), request))
    assert issued.token.startswith("007")
    assert issued.token not in repr(issued)
    assert issued.token_id == fingerprint(issued.token)
