import dataclasses
import gc
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from support.decoding import decode
from support.granting import all_powerful, caller, callers, everything, grant
from support.keys import APP_ID, CERTIFICATE, OLD_CERTIFICATE, Moments, certificate, keyring
from support.serving import no_limits, no_trail
from token_authority.v1.rtc_pb2 import RTC_ROLE_PUBLISHER, IssueRtcTokenRequest
from token_authority_server.authority import Authority
from token_authority_server.authorization import AuthorizedRequest, PolicySnapshot, authorize
from token_authority_server.errors import Reason, Refusal
from token_authority_server.families.rtc import Rtc
from token_authority_server.formats.fingerprint import fingerprint
from token_authority_server.identity.call_context import CallContext
from token_authority_server.inspection import Expected
from token_authority_server.keyring import AppCertificate, Keyring, KeyState, Project, Secret

REQUEST = IssueRtcTokenRequest(
    project="classroom", channel_name="lesson-1", uid=1, role=RTC_ROLE_PUBLISHER
)


def policy(keys: Keyring | None = None, **changes: Any) -> PolicySnapshot:
    return PolicySnapshot(keys or keyring(), callers(caller(grant(**changes))))


def authority(first: PolicySnapshot) -> Authority:
    return Authority(first, Moments(), no_limits(), no_trail())


def allowed_by(first: PolicySnapshot) -> tuple[Authority, AuthorizedRequest]:
    """An authority, and a request that its policy authorizes."""
    signing = authority(first)
    return signing, signing.authorize(first.callers.by_name["tester"], Rtc(), REQUEST)


def test_an_issued_token_does_not_show_its_token() -> None:
    signing, allowed = allowed_by(policy())
    issued = signing.sign(allowed)
    assert issued.token.startswith("007")
    assert issued.token not in repr(issued)
    assert issued.token_id == fingerprint(issued.token)


def project(*keys: Any) -> Keyring:
    return Keyring([Project("classroom", keys)])


TAKEN_AWAY = {
    "the caller": (
        PolicySnapshot(keyring(), callers(caller(grant(), name="other"))),
        Reason.CREDENTIAL_INVALID,
    ),
    "the grant": (policy(channels=("office",)), Reason.GRANT_MISSING),
    "the grant's project": (
        PolicySnapshot(keyring(), callers(caller(everything("rtc-only")))),
        Reason.GRANT_MISSING,
    ),
    "the project": (policy(Keyring([])), Reason.GRANT_MISSING),
    "the product": (policy(project()), Reason.PROJECT_LACKS_PRODUCT),
    "the key": (policy(project(certificate(state=KeyState.DISABLED))), Reason.NO_ACTIVE_KEY),
}


@pytest.mark.parametrize(("later", "reason"), TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_what_a_new_policy_takes_away_is_not_signed(later: PolicySnapshot, reason: Reason) -> None:
    first = policy()
    signing, allowed = allowed_by(first)
    signing.apply(later)
    with pytest.raises(Refusal) as at_signature:
        signing.sign(allowed)
    # Nor is it authorized for a caller whom the earlier policy authenticated.
    with pytest.raises(Refusal) as at_decision:
        signing.authorize(first.callers.by_name["tester"], Rtc(), REQUEST)
    for caught in (at_signature, at_decision):
        assert caught.value.reason is reason
        assert caught.value.audit_fields["channel"] == "lesson-1"


def test_a_new_key_signs_what_was_allowed_with_the_old_one() -> None:
    old = certificate("cert-1", OLD_CERTIFICATE)
    signing, allowed = allowed_by(policy(project(old)))
    retired = dataclasses.replace(old, state=KeyState.DISABLED)
    signing.apply(policy(project(retired, certificate()), max_ttl="10m"))
    issued = signing.sign(allowed)
    assert issued.allowed.key.key_id == "cert-2"
    token = decode(issued.token)
    assert token.fields["app_id"] == APP_ID
    assert token.verifies(CERTIFICATE)
    # By the new grant too.
    assert token.fields["expire"] == 600


def certificates_alive() -> list[str]:
    """The App Certificates in memory whose key id a test here made up."""
    gc.collect()
    return [
        one.key_id
        for one in gc.get_objects()
        if isinstance(one, AppCertificate) and one.key_id == "cert-replaced"
    ]


def test_a_replaced_certificate_and_its_derived_keys_leave_memory() -> None:
    signing, allowed = allowed_by(policy(project(certificate("cert-replaced"))))
    signing.sign(allowed)
    assert certificates_alive() == ["cert-replaced"]
    signing.apply(policy())
    del allowed
    assert certificates_alive() == []


INVALID = IssueRtcTokenRequest(
    project="classroom",
    channel_name="lesson-1",
    uid=1,
    role=RTC_ROLE_PUBLISHER,
    expire_time=Timestamp(),
)


@pytest.mark.parametrize(
    ("caller_name", "request_", "reason"),
    [
        # In the order of the checks: each request fails all the later ones too.
        ("nobody", INVALID, Reason.CREDENTIAL_INVALID),
        ("tester", INVALID, Reason.INVALID_REQUEST),
        ("tester", REQUEST, Reason.GRANT_MISSING),
    ],
)
def test_checks_keep_their_order_and_each_refusal_has_what_was_requested(
    caller_name: str, request_: IssueRtcTokenRequest, reason: Reason
) -> None:
    nothing = policy(Keyring([]), channels=("office",))
    with pytest.raises(Refusal) as caught:
        authorize(nothing, caller_name, Rtc(), request_, Moments()())
    assert caught.value.reason is reason
    assert caught.value.audit_fields == {
        "project": "classroom",
        "kind": "rtc",
        "role": "publisher",
        "channel": "lesson-1",
        "user": "uid:1",
    }


def test_the_same_policy_is_not_asked_twice() -> None:
    signing, allowed = allowed_by(policy())
    assert signing.sign(allowed).allowed is allowed


def test_an_all_powerful_caller_may_have_any_project() -> None:
    first = PolicySnapshot(keyring(), all_powerful(keyring().project_names))
    _, allowed = allowed_by(first)
    assert (allowed.caller, allowed.grant.name) == ("tester", "all-of-classroom")


class CountedSecret(Secret):
    """A secret that counts how often any of its kind is read."""

    reads = 0

    def reveal(self) -> str:
        CountedSecret.reads += 1
        return super().reveal()


def counted(number: int) -> AppCertificate:
    return AppCertificate("c", KeyState.ACTIVE, APP_ID, CountedSecret(f"{number:032x}"))


async def test_an_inspection_reads_the_secrets_of_the_callers_own_projects_only() -> None:
    keys = Keyring([Project(f"p{number}", (counted(number),)) for number in range(300)])
    who = callers(caller(everything("p7")))
    signing = authority(PolicySnapshot(keys, who))
    context = CallContext(who.by_name["tester"], "local", "here", "InspectToken")
    for text, key_id in ((f"{7:032x}", "c"), (f"{299:032X}", "c"), ("nothing", "")):
        CountedSecret.reads = 0
        inspection = await signing.inspect(context, text, Expected())
        assert CountedSecret.reads <= 3
        # Those of the others are recognised all the same.
        assert [exposed.key_id for exposed in inspection.exposed] == ([key_id] if key_id else [])
        assert [exposed.is_named for exposed in inspection.exposed] == (
            [text == f"{7:032x}"] if key_id else []
        )
