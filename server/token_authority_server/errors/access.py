"""Errors of authorization: no grant covers the request, or the project cannot sign it."""

from token_authority_server.errors.refusal import Reason, Refusal


def project_not_granted(project: str) -> Refusal:
    """The project does not exist or the caller has no grant for it; the answer is the same."""
    return Refusal(
        Reason.GRANT_MISSING,
        f"project '{project}' does not exist or is not granted to you",
        "check the project name, or add a grant for it to the server's configuration",
        metadata={"project": project},
    )


def not_granted(
    reason: Reason, project: str, grant: str, missing: str, text: str, *, is_allowance: bool
) -> Refusal:
    """No grant covers the request; this one is the closest.

    Args:
        reason: The permission that is missing.
        project: A project that the caller has grants for.
        grant: The closest of them.
        missing: The grant's key that does not cover the request.
        text: What was requested, as a phrase.
        is_allowance: Whether `missing` is a value of `allow`.
    """
    change = f'add "{missing}" to its `allow`' if is_allowance else f"widen its `{missing}`"
    return Refusal(
        reason,
        f"permission denied: the closest grant, '{grant}' (project '{project}'), does not allow "
        f"{text}",
        f"request what the grant allows (see GetAuthorityInfo), or {change} in the server's "
        "configuration",
        metadata={"project": project, "grant": grant, "missing": missing, "wanted": text},
    )


def allowance_missing(allowance: str, project: str) -> Refusal:
    """No grant of the caller, or none for this project, has an allowance."""
    of_project = f" for project '{project}'" if project else ""
    return Refusal(
        Reason.GRANT_MISSING,
        f"permission denied: none of your grants{of_project} has the allowance '{allowance}'",
        f'add "{allowance}" to `allow` of a grant in the server\'s configuration',
        metadata={"missing": allowance, **({"project": project} if project else {})},
    )


def denied(project: str, until: str, detail: str) -> Refusal:
    """A denial applies: a denied user could use the token, or it is for a denied channel or room.

    Args:
        project: The project.
        until: When the denial ends (RFC 3339).
        detail: The denial, for the log and the audit trail: a caller must not learn from a request
            for a wildcard who is denied.
    """
    return Refusal(
        Reason.DENIED,
        f"permission denied: this user, channel or room of project '{project}' is denied until "
        f"{until}",
        "do not retry before then, unless the server's operator removes the denial",
        metadata={"project": project, "denied_until": until},
        detail=detail,
    )


def project_lacks_product(project: str, product: str) -> Refusal:
    """The project has no keys for the product."""
    return Refusal(
        Reason.PROJECT_LACKS_PRODUCT,
        f"project '{project}' has no {product} keys",
        f"add [projects.{project}.{product}] to the server's configuration",
        metadata={"project": project, "product": product},
        subject=f"projects/{project}",
    )


def no_active_key(project: str, product: str, key_id: str = "") -> Refusal:
    """The project's keys for the product are all retired or disabled, or the named one is."""
    if key_id:
        return Refusal(
            Reason.NO_ACTIVE_KEY,
            f"project '{project}' has no {product} key '{key_id}', or it is disabled",
            "pass the `key_id` of an earlier response, or none for the current key",
            metadata={"project": project, "product": product, "key_id": key_id},
            subject=f"projects/{project}",
        )
    return Refusal(
        Reason.NO_ACTIVE_KEY,
        f"project '{project}' has no active {product} key",
        'set `state = "active"` on one of its keys in the server\'s configuration',
        metadata={"project": project, "product": product},
        subject=f"projects/{project}",
    )
