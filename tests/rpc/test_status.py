import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from token_authority_server.errors import (
    Code,
    FieldViolation,
    Reason,
    Refusal,
    batch_exceeds_limit,
    invalid_request,
    rate_limited,
    too_many_in_flight,
)
from token_authority_server.rpc.status import details, status_code


def test_every_reason_has_a_status_code() -> None:
    assert {status_code(reason).name for reason in Reason} == set(Code)


@pytest.mark.parametrize(
    ("refusal", "subject", "milliseconds"),
    [
        (rate_limited("web", "200 per 1 second", 7, 1.2345), "callers/web", 1234),
        (too_many_in_flight("web", 20, of_caller=True), "callers/web", 100),
        (too_many_in_flight("web", 1000, of_caller=False), "server", 100),
    ],
    ids=lambda value: value.metadata.get("bound", "rate") if isinstance(value, Refusal) else "",
)
def test_an_exhausted_quota_says_whose_and_when_to_retry(
    refusal: Refusal, subject: str, milliseconds: int
) -> None:
    status = status_pb2.Status.FromString(details(refusal))
    assert status.code == StatusCode.RESOURCE_EXHAUSTED.value[0]
    _, packed_quota, packed_retry = status.details
    quota, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    assert packed_quota.Unpack(quota)
    assert packed_retry.Unpack(retry)
    assert [(each.subject, each.description) for each in quota.violations] == [
        (subject, refusal.message)
    ]
    assert retry.retry_delay.ToMilliseconds() == milliseconds


def test_a_batch_that_can_never_pass_is_not_to_be_retried() -> None:
    status = status_pb2.Status.FromString(details(batch_exceeds_limit(300, 200)))
    assert status.code == StatusCode.INVALID_ARGUMENT.value[0]
    (packed,) = status.details
    info = error_details_pb2.ErrorInfo()
    assert packed.Unpack(info)
    assert info.metadata["max_batch"] == "200"


@pytest.mark.parametrize(("count", "end"), [(1, "f0 is wrong"), (5, "f4 is wrong"), (7, "2 more")])
def test_a_message_names_five_violations_and_counts_the_rest(count: int, end: str) -> None:
    violations = [FieldViolation(f"f{number}", "WRONG", "is wrong") for number in range(count)]
    refusal = invalid_request(violations)
    assert refusal.message.endswith(end)
    assert refusal.metadata["violation_count"] == str(count)
