"""The use case of key rotation: reports on the keys that a caller may list."""

import heapq

from token_authority_server.access.callers import Caller
from token_authority_server.access.grants import Grant
from token_authority_server.access.key_retirement import KeyReport, key_report
from token_authority_server.authority import Authority
from token_authority_server.errors import allowance_missing, project_not_granted
from token_authority_server.keyring import SigningKey


def list_keys(
    authority: Authority, caller: Caller, project: str, after: tuple[str, str], count: int
) -> list[KeyReport]:
    """Reports on keys of one project, or of all ("") whose keys the caller may list.

    The reports rest on present grants and on what this instance signed since it started.

    Args:
        authority: Has the policy and what was signed.
        caller: The caller.
        project: The name of the project.
        after: The project and key id that the first key follows in their order.
        count: The most keys to report on.

    Raises:
        Refusal: GRANT_MISSING: the caller may not list the keys of that, or any, project.
    """
    allowed = caller.projects_with("list_keys")
    if not allowed:
        raise allowance_missing("list_keys", "")
    if project and project not in allowed:
        raise (
            allowance_missing("list_keys", project)
            if any(grant.project == project for grant in caller.grants)
            else project_not_granted(project)
        )
    policy = authority.policy
    found = policy.keyring.keys({project} if project else allowed)
    keys = heapq.nsmallest(count, (one for one in found if _place(one) > after), _place)
    now_ms = authority.now_ms()
    grants: dict[str, list[Grant]] = {name: [] for name, _ in keys}
    for other in policy.callers.by_name.values():
        for grant in other.grants:
            if grant.project in grants:
                grants[grant.project].append(grant)
    return [
        key_report(name, key, grants[name], now_ms, authority.key_uses.of(name, key.key_id))
        for name, key in keys
    ]


def _place(key: tuple[str, SigningKey]) -> tuple[str, str]:
    return key[0], key[1].key_id
