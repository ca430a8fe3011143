from typing import Any

import pytest

from support.granting import caller, callers, everything
from token_authority_server.access.callers import Caller
from token_authority_server.errors import Reason, Refusal


def of(*projects: str, **settings: Any) -> Caller:
    return caller(*map(everything, projects), **settings).caller()


def refusal(who: Caller, project: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        who.project(project)
    return caught.value


def test_a_project_is_named_or_the_default_or_the_only_one() -> None:
    assert of("a", "b").project("b") == "b"
    assert of("a").project("") == "a"
    assert of("a", "b", default_project="b").project("") == "b"
    assert of("a", "b", default_project="b").project("a") == "a"


def test_several_projects_and_no_default_have_to_be_told_apart() -> None:
    told = refusal(of("a", "b"), "")
    assert [(one.field, one.reason) for one in told.violations] == [("project", "REQUIRED")]
    assert of("a", "b").only_project == ""


def test_several_grants_for_one_project_are_one_project() -> None:
    rows = (everything("a"), everything("a", name="more"))
    assert caller(*rows).caller().project("") == "a"


def test_a_project_without_a_grant_is_not_said_to_exist() -> None:
    told = refusal(of("a"), "b")
    assert told.reason is Reason.GRANT_MISSING
    assert told.metadata == {"project": "b"}
    assert "does not exist or is not granted to you" in told.message
    # Nor is the caller told of a default that it did not ask for.
    assert "'a'" not in told.message


def test_an_allowance_is_for_its_grants_project_only() -> None:
    rows = (everything("a", allow=("inspect",)), everything("b", allow=("list_keys",)))
    who = caller(*rows).caller()
    assert who.projects_with("inspect") == ("a",)
    assert who.projects_with("list_keys") == ("b",)
    assert who.projects_with("v006") == ()


def test_a_caller_that_is_gone_is_not_known_any_more() -> None:
    known = callers(caller(everything("a"), name="here"))
    assert known.named("here").name == "here"
    with pytest.raises(Refusal) as caught:
        known.named("gone")
    assert caught.value.reason is Reason.CREDENTIAL_INVALID
    # Only the log says which.
    assert "gone" not in caught.value.message
    assert "gone" in caught.value.detail
