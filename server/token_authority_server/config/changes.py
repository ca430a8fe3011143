"""What differs between two configurations: by name, never a value that may be a secret."""

from collections.abc import Iterator
from typing import Any, Final, cast

from token_authority_server.config.section import Section
from token_authority_server.config.settings import Settings
from token_authority_server.keyring import EncryptionSecret, Secret, SigningKey, current_secret

# Listeners, the log's format and the sinks change only with a restart.
_FIXED: Final = ("server", "log", "limits", "audit")
_RELOADED: Final = frozenset({"server.tls", "log.level"})


def changes_between(before: Settings, after: Settings, started: Settings) -> dict[str, list[str]]:
    """Returns what changed, for the log and the audit trail; empty if nothing did.

    Args:
        before: The previous settings.
        after: The current settings.
        started: The settings at start, of which some cannot change.
    """
    changes = {
        "keys": sorted(_keys_changed(before, after)),
        "callers": sorted(_callers_changed(before, after)),
        "denials": sorted(_denials_changed(before, after)),
        "sections": sorted(_sections_changed(before, after)),
        "restart_needed": sorted(_fixed_changed(started, after)),
    }
    return {name: found for name, found in changes.items() if found}


def switch_warnings(before: Settings, after: Settings, now_ms: int) -> Iterator[str]:
    """Yields warnings about projects whose current encryption secret a reload replaces.

    Replicas that have not reloaded yet derive other keys. It is no error: this server may be the
    last one to reload, or a leaked secret has to be replaced at once.

    Args:
        before: The previous settings.
        after: The current settings.
        now_ms: Milliseconds since 1970.
    """
    for name in before.projects.keys() & after.projects.keys():
        old, new = (
            current_secret(settings.projects[name].encryption_secrets(), now_ms)
            for settings in (before, after)
        )
        if not old or not new or _derivation(old) == _derivation(new):
            continue
        what = (
            f"secret {old.key_id!r} has another value since this reload"
            if old.key_id == new.key_id
            else f"{new.key_id!r} replaced {old.key_id!r} at this reload"
        )
        yield (
            f"projects.{name}.encryption: {what}: replicas derive different keys until all have "
            "reloaded; rotate with a new secret whose not_before is at least ten minutes ahead, "
            "and keep the old one active until then"
        )


def _derivation(secret: EncryptionSecret) -> tuple[str, ...]:
    return secret.key_id, secret.app_id.lower(), secret.secret.reveal()


def _keys_changed(before: Settings, after: Settings) -> Iterator[str]:
    old, new = _keys(before), _keys(after)
    for name in old.keys() | new.keys():
        if _parts_of(old.get(name)) != _parts_of(new.get(name)):
            key = new.get(name)
            yield f"{name}: {key.state.value if key else 'removed'}"


def _callers_changed(before: Settings, after: Settings) -> Iterator[str]:
    old = {row.name: row for row in before.callers}
    new = {row.name: row for row in after.callers}
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            yield name


def _denials_changed(before: Settings, after: Settings) -> Iterator[str]:
    old, new = (set(settings.authorization.denials) for settings in (before, after))
    yield from (f"{denial}: added" for denial in new - old)
    yield from (f"{denial}: removed" for denial in old - new)


def _sections_changed(before: Settings, after: Settings) -> Iterator[str]:
    if before.authentication != after.authentication:
        yield "authentication"
    if before.log.level != after.log.level:
        yield "log.level"
    if before.tests != after.tests:
        yield "tests"
    if _tls(before) and _tls(after) and _tls(before) != _tls(after):
        yield "server.tls"


def _fixed_changed(started: Settings, after: Settings) -> Iterator[str]:
    for section in _FIXED:
        was, now = getattr(started, section), getattr(after, section)
        for name in cast("Section", now).__class__.model_fields:
            if f"{section}.{name}" not in _RELOADED and _plain(getattr(was, name)) != _plain(
                getattr(now, name)
            ):
                yield f"{section}.{name}"
    # Certificates are replaced in listeners that have some: others get none.
    if bool(_tls(started)) != bool(_tls(after)):
        yield "server.tls"


def _tls(settings: Settings) -> tuple[object, ...]:
    tls = settings.server.tls
    return (tls.certificate, tls.private_key.reveal(), tls.client_ca) if tls else ()


def _plain(value: Any) -> Any:
    """Returns what can be compared; secrets are equal to themselves only."""
    return value.reveal() if isinstance(value, Secret) else value


def _keys(settings: Settings) -> dict[str, SigningKey | EncryptionSecret]:
    return {
        f"{name}/{key.key_id}": key
        for name, project in settings.projects.items()
        for key in (*project.signing_keys(), *project.encryption_secrets())
    }


def _parts_of(key: SigningKey | EncryptionSecret | None) -> tuple[object, ...]:
    if isinstance(key, EncryptionSecret):
        return key.state, key.app_id, key.not_before_ms, key.secret.reveal()
    return (key.state, key.app_id, key.retired_ms, key.confidential()) if key else ()
