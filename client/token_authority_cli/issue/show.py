"""Prints tokens and decisions as text."""

from token_authority_cli.arguments import in_words
from token_authority_cli.output import at, print_lines
from token_authority_client import Advisory, Decision, IssuedToken

Answer = IssuedToken | Decision


def show(answer: Answer) -> None:
    """Prints only the token to standard output, so that a shell can capture it."""
    if isinstance(answer, IssuedToken):
        print(answer.token, flush=True)
        print_lines(_about(answer))
    else:
        print_lines(_why(answer))


def _about(issued: IssuedToken) -> list[tuple[str, str]]:
    key = f"{issued.key_id} (App ID {issued.app_id})" if issued.app_id else issued.key_id
    lines = [
        ("format", issued.format),
        ("token id", issued.token_id),
        ("key", key),
        ("issued", at(issued.issue_time)),
    ]
    if issued.expire_time is None or issued.renew_time is None:
        lines.append(("expires", "never"))
    else:
        life = in_words(issued.expire_time - issued.issue_time)
        lines.append(("expires", f"{at(issued.expire_time)} (after {life})"))
        lines.append(("renew at", at(issued.renew_time)))
    return lines + _notes(issued.advisories)


def _why(decision: Decision) -> list[tuple[str, str]]:
    ttl = "never expires" if decision.ttl is None else in_words(decision.ttl)
    return [
        ("allowed", f"to {decision.caller}, by grant {decision.grant}"),
        ("life", f"{ttl} (at most {in_words(decision.max_ttl)})"),
        ("key", decision.key_id),
        *_notes(decision.advisories),
    ]


def _notes(advisories: tuple[Advisory, ...]) -> list[tuple[str, str]]:
    return [("note", f"{advisory.description} [{advisory.reason}]") for advisory in advisories]
