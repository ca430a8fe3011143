"""Targets that are files: configuration, secrets, certificates, denials and audit files."""

import contextlib
import tomllib
from functools import partial
from pathlib import Path
from typing import Final

import trustme

from audit.trails import CHAIN_ID, issued, lines
from fuzz.mutating import Chance, mutated
from fuzz.outcomes import Target, check_shown
from support.keys import APP_ID, CERTIFICATE, SECRET_KEY
from support.live import AUDIT, BY_KEY, PROJECT, SERVER
from support.serving import CONFIG, write_config
from token_authority_server.audit import find_signed_by, find_token, verify
from token_authority_server.audit.file import FileSink
from token_authority_server.audit.record import body_of
from token_authority_server.audit.sinks import AuditError
from token_authority_server.config.load import ConfigError, ConfigFile, settings_of

_SAMPLE: Final = Path(__file__).parents[2] / "server/deploy/token-authority.toml"
_LINES: Final = lines(8)
_TRAIL: Final = b"".join(_LINES)
_SMALL: Final = SERVER + PROJECT + BY_KEY + AUDIT
_TLS: Final = (
    SERVER
    + PROJECT
    + BY_KEY
    + """
[server.tls]
certificate = "certificate.pem"
private_key = "key.pem"
client_ca = "ca.pem"
"""
)
_DENIALS: Final = (
    b'[[denials]]\nproject = "classroom"\nuser = "uid:7"\nuntil = 2999-01-01T00:00:00Z\n'
    b'reason = "a complaint"\n[[denials]]\nproject = "p"\nchannel = "exam-*"\ntokens = ["rtc"]\n'
    b"until = 2020-01-01T00:00:00.5+02:00\n",
    b'denials = [{ project = "classroom", room = "*", until = 9999-12-30T00:00:00-12:00 }]\n',
    b"denials = " + b"[" * 5_000,
)
_VALUES: Final = (
    *(b"5s", b"true", b"0", b"-1", b"9" * 400, b'["a"]', b'{ file = "cert" }', b"[[[[", b""),
    *(b"127.0.0.1:0", b"unix:/x", b"json", b"\xc3\xa9", b"1\nx = 2", b"nan", b"2030-01-01"),
)
_NAMES: Final = (
    *("SERVER__LISTEN", "SERVER__DRAIN", "SERVER__MAX_REQUEST_BYTES", "LOG__LEVEL", "LOG"),
    *("LIMITS__REDIS", "AUDIT__FILE", "AUDIT__REQUIRED", "SERVER__TLS__CERTIFICATE", "CALLERS"),
    *("PROJECTS__CLASSROOM__AGORA__APP_ID", "AUTHENTICATION__JWT__ISSUER", "X", "SERVER__X__Y"),
)


def targets(folder: Path) -> list[Target]:
    """Returns the targets, which read files of a folder."""
    path = write_config(folder, _SMALL)
    secrets = [CERTIFICATE.encode(), SECRET_KEY.encode(), CERTIFICATE.encode() + b"\n"]
    configs = [CONFIG.encode(), _SMALL.encode(), _SAMPLE.read_bytes()]
    denying = path.with_name("denying.toml")
    denying.write_text(_SMALL + '[authorization]\ndenied_file = "fuzzed-denials.toml"\n')
    serving = path.with_name("serving.toml")
    serving.write_text(_TLS)
    pems = _pems()
    return [
        Target("denials", partial(mutated, _DENIALS), partial(_deny, denying), 15),
        Target("TLS files", partial(_pem, pems), partial(_serve, serving, pems), 6),
        Target(
            "audit file at start", partial(mutated, [_TRAIL]), partial(_go_on, folder / "old"), 12
        ),
        Target("configuration", partial(mutated, configs), partial(_configure, path), 15),
        Target("environment", _variable, partial(_override, folder), 15),
        Target("secret", partial(mutated, secrets), partial(_keep_secret, path), 10),
        Target("audit file", partial(mutated, [_TRAIL]), partial(_verify, folder / "trail"), 70),
    ]


def _configure(path: Path, data: bytes) -> str:
    other = path.with_name("fuzzed.toml")
    other.write_bytes(data)
    return _load(other)


def _load(path: Path) -> str:
    try:
        settings = ConfigFile(path, {}).load()
    except ConfigError as error:
        check_shown(str(error), 200_000)
        assert str(path) in str(error)
        return "refused"
    settings.policy()
    check_shown("".join(settings.warnings()))
    return "loaded"


def _variable(chance: Chance) -> tuple[str, bytes]:
    name = f"TOKEN_AUTHORITY__{chance.choice(_NAMES)}"
    return name, mutated(_VALUES, chance).replace(b"\0", b"")


def _override(folder: Path, variable: tuple[str, bytes]) -> str:
    name, value = variable
    # As os.environ has it.
    environment = {name: value.decode("utf-8", "surrogateescape")}
    try:
        settings_of(tomllib.loads(_SMALL), "fuzzed.toml", folder, environment)
    except ConfigError as error:
        check_shown(str(error), 200_000)
        return "refused"
    return "loaded"


def _keep_secret(path: Path, data: bytes) -> str:
    (path.parent / "cert").write_bytes(data)
    try:
        outcome = _load(path)
    finally:
        (path.parent / "cert").write_text(CERTIFICATE)
    assert outcome == "refused" or len(data.strip()) == len(APP_ID)
    return outcome


def _verify(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    report = verify([path])
    found = [*find_token("0" * 32, [path]), *find_signed_by("cert-2", [path])]
    shown = [*report.notes, report.problem.explanation if report.problem else ""]
    check_shown("".join(shown))
    if report.problem:
        return report.problem.fault
    # Without a problem, the lines are some of the original, from one on to the last that counts.
    assert all(record.is_intact for record in found)
    whole = data.removesuffix(b"\n").split(b"\n") if data else []
    original = [line.removesuffix(b"\n") for line in _LINES]
    start = original.index(whole[0]) if whole else 0
    assert whole == original[start : start + len(whole)]
    return "verified"


def _deny(path: Path, data: bytes) -> str:
    path.with_name("fuzzed-denials.toml").write_bytes(data)
    return _load(path)


def _pems() -> dict[str, bytes]:
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost")
    return {
        "certificate.pem": b"".join(pem.bytes() for pem in leaf.cert_chain_pems),
        "key.pem": leaf.private_key_pem.bytes(),
        "ca.pem": ca.cert_pem.bytes(),
    }


def _pem(pems: dict[str, bytes], chance: Chance) -> tuple[str, bytes]:
    name = chance.choice(sorted(pems))
    return name, mutated([pems[name]], chance)


def _serve(path: Path, pems: dict[str, bytes], given: tuple[str, bytes]) -> str:
    for name, data in {**pems, given[0]: given[1]}.items():
        path.with_name(name).write_bytes(data)
    return _load(path)


def _go_on(path: Path, data: bytes) -> str:
    """Appends a record, as a server does that starts with the file of another."""
    path.write_bytes(data)
    try:
        sink = FileSink(path, "never", "f" * 32)
    except AuditError as error:
        check_shown(str(error))
        assert path.read_bytes() == data
        return "refused"
    with contextlib.closing(sink):
        sink.append([body_of({**issued(), **sink.pending}, sink.newest_ms)])
    # Nothing was lost, and the new record is whole.
    left = path.read_bytes()
    assert left.startswith(data)
    new = left.removeprefix(data).lstrip(b"\n")
    assert new.count(b"\n") == 1
    path.write_bytes(new)
    problem = verify([path]).problem
    assert problem is None, problem
    return "continued" if sink.chain.chain_id == CHAIN_ID else "begun"
