"""Key rotation: lists the signing keys that a caller may see, and when each is no longer needed."""

from bisect import bisect_left

from token_authority_server.access.callers import Caller
from token_authority_server.access.key_retirement import KeyReport, key_report
from token_authority_server.authority import Authority
from token_authority_server.errors import allowance_missing, project_not_granted
from token_authority_server.keyring import SigningKey


def list_keys(
    authority: Authority, caller: Caller, project: str, after: tuple[str, str], count: int
) -> list[KeyReport]:
    """Returns one page of reports on the keys of a project, or of all projects ("").

    The reports are based on current grants and on what this instance signed since it started.

    Args:
        authority: Provides the policy, the time and the use of each key.
        caller: The caller; keys of projects that it may not list are left out.
        project: The name of the project; "" for all.
        after: The page starts after this project and key id; ("", "") for the first page.
        count: The largest number of reports.

    Raises:
        Refusal: GRANT_MISSING: the caller may not list the keys of that, or any, project.
    """
    allowed = caller.projects_with("list_keys")
    if not allowed:
        raise allowance_missing("list_keys", "")
    if project and project not in allowed:
        raise (
            allowance_missing("list_keys", project)
            if caller.has_grant_for(project)
            else project_not_granted(project)
        )
    policy = authority.policy
    names = [project] if project else allowed[bisect_left(allowed, after[0]) :]
    keys: list[tuple[str, SigningKey]] = []
    for name in names:
        found = sorted(policy.keyring.keys([name]), key=_place)
        keys += [one for one in found if _place(one) > after]
        if len(keys) >= count:
            break
    now_ms = authority.now_ms()
    return [
        key_report(name, key, policy.granted_ttls, now_ms, authority.key_uses.of(name, key.key_id))
        for name, key in keys[:count]
    ]


def _place(key: tuple[str, SigningKey]) -> tuple[str, str]:
    return key[0], key[1].key_id
