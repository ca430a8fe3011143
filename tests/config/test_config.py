import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from support.certificates import write_tls
from support.keys import APP_ID, CERTIFICATE, SECRET_KEY, Moments
from support.serving import write_config
from token_authority_server import config
from token_authority_server.config import ConfigError, ConfigFile, Settings
from token_authority_server.config.callers import CallerSettings, GrantSettings
from token_authority_server.config.files import ReadProgress, signatures_of
from token_authority_server.keyring import AccessKey, AppCertificate, KeyState
from token_authority_server.process.explain import check_expectations

ROOT = Path(__file__).parents[2]
CALLER = """
[[callers]]
name = "tester"
identities = ["local"]
[[callers.grants]]
name = "rooms"
project = "classroom"
tokens = ["whiteboard"]
roles = ["writer"]
rooms = ["*"]
"""
MINIMAL = f"""
[projects.classroom.agora]
app_id = "{APP_ID}"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "cert" }}
state = "active"
{CALLER}"""
FULL = f"""
[server]
listen = ["127.0.0.1:0", "[::1]:7000", "127.0.0.2:7001", "unix:/run/ta.sock"]
reflection = true
max_request_bytes = 65536
max_concurrent_rpcs = 50
drain_notice = "250ms"
drain = "1m"

[log]
format = "json"
level = "warning"

[audit]
file = "log/audit.jsonl"
fsync = "interval"
required = true

[projects.classroom.agora]
app_id = "{APP_ID}"

[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "cert" }}
state = "verify_only"

[[projects.classroom.agora.certificates]]
id = "cert-2"
secret = {{ env = "CERT_2" }}
state = "active"

[[projects.classroom.whiteboard.access_keys]]
id = "ak-1"
access_key = "AK"
secret = {{ file = "sk" }}
state = "active"

[projects.office.whiteboard]
access_keys = [{{ id = "ak-1", access_key = "AK", secret = {{ file = "sk" }}, state = "disabled" }}]
{CALLER}"""


def load(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    return config.load(write_config(folder, text), environment or {})


def test_a_full_file(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, {"CERT_2": CERTIFICATE, "HOME": "/"})
    assert settings.server.drain.total_seconds() == 60
    assert settings.server.drain_notice.total_seconds() == 0.25
    assert settings.server.listen[3] == "unix:/run/ta.sock"
    assert settings.audit.file == tmp_path / "log/audit.jsonl"
    assert (settings.audit.fsync, settings.audit.required) == ("interval", True)
    keyring = settings.keyring()
    certificate = keyring.project("classroom").active_key(AppCertificate)
    assert (certificate.key_id, certificate.app_id) == ("cert-2", APP_ID)
    assert certificate.certificate.reveal() == CERTIFICATE
    access_key = keyring.project("classroom").active_key(AccessKey)
    assert access_key.secret_key.reveal() == SECRET_KEY
    states = [key.state for key in keyring.project("office").keys]
    assert states == [KeyState.DISABLED]
    assert list(settings.warnings()) == [
        "projects.office.whiteboard: no key is active: every request for its tokens will be "
        "refused with NO_ACTIVE_KEY"
    ]


def test_a_minimal_file_has_the_documented_defaults(tmp_path: Path) -> None:
    server = load(tmp_path, MINIMAL).server
    assert server.listen == ("127.0.0.1:50051",)
    assert not server.reflection


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environment = {
        "TOKEN_AUTHORITY__SERVER__DRAIN": "5s",
        "TOKEN_AUTHORITY__SERVER__REFLECTION": "true",
        "TOKEN_AUTHORITY__SERVER__LISTEN": '["127.0.0.1:7777"]',
        "TOKEN_AUTHORITY__LOG__LEVEL": "error",
        "TOKEN_AUTHORITY_TARGET": "ours, but no setting",
    }
    settings = load(tmp_path, MINIMAL, environment)
    assert settings.server.drain.total_seconds() == 5
    assert settings.server.reflection
    assert settings.server.listen == ("127.0.0.1:7777",)
    assert settings.log.level == "error"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    load(tmp_path, "\ufeff" + MINIMAL)


def test_the_environment_overrides_the_development_server_too() -> None:
    environment = {"TOKEN_AUTHORITY__LOG__LEVEL": "error"}
    settings = config.dev_settings(["127.0.0.1:0"], environment)
    assert settings.log.level == "error"
    with pytest.raises(ConfigError, match=r"TOKEN_AUTHORITY__LOG__LEVEL: log\.level: "):
        config.dev_settings(["127.0.0.1:0"], {"TOKEN_AUTHORITY__LOG__LEVEL": "loud"})


def test_paths_may_name_the_folder_of_systemds_credentials(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_tls(credentials)
    (credentials / "certificate").write_text(CERTIFICATE)
    text = MINIMAL.replace('"cert"', '"$CREDENTIALS_DIRECTORY/certificate"') + (
        '[server.tls]\ncertificate = "$CREDENTIALS_DIRECTORY/tls.pem"\n'
        'private_key = "$CREDENTIALS_DIRECTORY/tls.key"\n'
        '[audit]\nfile = "$CREDENTIALS_DIRECTORY/audit.jsonl"\n'
    )
    settings = load(tmp_path, text, {"CREDENTIALS_DIRECTORY": str(credentials)})
    (key,) = settings.projects["classroom"].signing_keys()
    assert key.confidential() == (CERTIFICATE,)
    assert settings.server.tls
    assert settings.audit.file == credentials / "audit.jsonl"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert all("CREDENTIALS_DIRECTORY is not set: systemd sets it" in line for line in lines)
    # Other variables are part of the name.
    with pytest.raises(ConfigError, match=r"cannot read .*/\$HOME/cert: No such file"):
        load(tmp_path, MINIMAL.replace('"cert"', '"$HOME/cert"'), {"HOME": str(tmp_path)})


def test_no_secret_is_shown_by_a_repr(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL, {"CERT_2": CERTIFICATE})
    for text in (repr(settings), str(settings.model_dump())):
        assert CERTIFICATE not in text
        assert SECRET_KEY not in text


def with_server(line: str) -> str:
    return f"[server]\n{line}\n{MINIMAL}"


KEYS = "projects.classroom.agora.certificates"
AT_KEY = f"[[{KEYS}]] key 1"
AT_ACCESS_KEY = "[[projects.classroom.whiteboard.access_keys]] key 1"
AGORA = "projects.classroom.agora"
MISTAKES = {
    "no TOML": ("[server", "is not valid TOML: "),
    "a key twice": ("[log]\n[log]\n", "is not valid TOML: "),
    "no project": (CALLER, "projects: is missing: add it"),
    "an unknown section": ("[sever]\n" + MINIMAL, "sever: is not a key: did you mean 'server'?"),
    "an unknown key": (
        with_server("listne = []"),
        "server.listne: is not a key: did you mean 'listen'?",
    ),
    "an unlike unknown key": (with_server("zzz = 1"), "server.zzz: is not a key: remove it"),
    "a wrong type": (with_server("reflection = 7"), "server.reflection: must be true or false"),
    "too many": (
        with_server("max_concurrent_rpcs = 0"),
        "server.max_concurrent_rpcs: must be at least 1",
    ),
    "a number for a time": (
        with_server("drain = 20"),
        "server.drain: must be a number and a unit",
    ),
    "too long a time": (with_server('drain = "2h"'), "server.drain: must be at most 1h"),
    "nowhere to listen": (with_server("listen = []"), "server: has no address: "),
    "all addresses": (
        with_server('listen = ["0.0.0.0:50051"]'),
        "server: other machines can connect to 0.0.0.0:50051",
    ),
    "all IPv6 addresses": (
        with_server('listen = ["[::]:50051"]'),
        "server: other machines can connect to [::]",
    ),
    "an address of the network": (
        with_server('listen = ["10.1.2.3:1"]'),
        "add [server.tls], or set allow_plaintext = true",
    ),
    "a name": (with_server('listen = ["example.com:50051"]'), "server.listen.0: must be "),
    "localhost": (with_server('listen = ["localhost:50051"]'), "server.listen.0: must be "),
    "a percent sign": (
        with_server('listen = ["unix:/a%20b"]'),
        "server.listen.0: must not contain",
    ),
    "a NUL": (with_server('listen = ["unix:/a\\u0000b"]'), "server.listen.0: must not contain"),
    "a number for a switch": (with_server("reflection = 1"), "server.reflection: must be true or"),
    "text for a number": (
        with_server('max_concurrent_rpcs = "50"'),
        "server.max_concurrent_rpcs: must be a whole number",
    ),
    "a secret for an id": (
        MINIMAL.replace('id = "cert-1"', f'id = "{CERTIFICATE}"'),
        "projects.classroom: the id of a key is the key itself",
    ),
    "no port": (with_server('listen = ["127.0.0.1"]'), 'server.listen.0: must be "ADDRESS:PORT"'),
    "a port too high": (with_server('listen = ["127.0.0.1:65536"]'), "server.listen.0: must be"),
    "a relative socket": (with_server('listen = ["unix:a"]'), "server.listen.0: a unix socket"),
    "an IPv6 address bare": (with_server('listen = ["::1:50051"]'), "server.listen.0: must be"),
    "an address twice": (
        with_server('listen = ["127.0.0.1:1", "127.0.0.1:1"]'),
        "server.listen: 127.0.0.1:1 is listed twice: remove one",
    ),
    "an address for two purposes": (
        with_server('listen = ["127.0.0.1:1"]\nadmin_listen = "127.0.0.1:01"'),
        "server: 127.0.0.1:1 and 127.0.0.1:01 share a port, so that only one of them can be",
    ),
    "an address among all": (
        with_server('listen = ["127.0.0.1:1"]\nhealth_listen = "0.0.0.0:1"'),
        "server: 127.0.0.1:1 and 0.0.0.0:1 share a port",
    ),
    "an address among all of both versions": (
        with_server('listen = ["127.0.0.1:1"]\nadmin_listen = "[::]:1"'),
        "server: 127.0.0.1:1 and [::]:1 share a port",
    ),
    "an address in two spellings": (
        with_server('listen = ["[::1]:1", "[0::1]:1"]'),
        "server: [::1]:1 and [0::1]:1 share a port",
    ),
    "an address mapped to IPv6": (
        with_server('listen = ["127.0.0.1:1", "[::ffff:127.0.0.1]:1"]'),
        "server: 127.0.0.1:1 and [::ffff:127.0.0.1]:1 share a port",
    ),
    "a socket in two spellings": (
        with_server('listen = ["unix:/a/s", "unix:/a/../a//s"]'),
        "server: unix:/a/s and unix:/a/../a//s share a port",
    ),
    "digits that are not ASCII": (
        with_server('drain = "\u0662s"'),
        "server.drain: must be a number and a unit",
    ),
    "an address alone": (
        with_server('listen = "127.0.0.1:1"'),
        "server.listen: must be a list: write [ … ] around it",
    ),
    "a socket's path too long": (
        with_server(f'listen = ["unix:/{"x" * 107}"]'),
        "server.listen.0: a unix socket's path must not be longer than 107 bytes",
    ),
    "a table for a value": ("server = 1\n" + MINIMAL, "server: must be a table"),
    "one table for a list": (
        MINIMAL.replace("[[projects", "[projects").replace("certificates]]", "certificates]"),
        f"{KEYS}: must be a list: write [ … ] around it, or [[ … ]]",
    ),
    "an unknown level": (
        '[log]\nlevel = "all"\n' + MINIMAL,
        "log.level: must be one of debug, info, warning, error",
    ),
    "records that are required and go nowhere": (
        "[audit]\nrequired = true\n" + MINIMAL,
        "audit: required = true needs a destination: set file, or stdout = true",
    ),
    "an unknown fsync policy": (
        '[audit]\nfsync = "often"\n' + MINIMAL,
        "audit.fsync: must be one of always, interval, never",
    ),
    "a number for a file": (
        "[audit]\nfile = 7\n" + MINIMAL,
        'audit.file: must be the path of a file, like "audit.jsonl"',
    ),
    "no name for a file": ('[audit]\nfile = ""\n' + MINIMAL, "audit.file: must be the path"),
    "a project's name": (MINIMAL.replace("classroom", "Class"), "projects.Class"),
    "a leading space": (
        MINIMAL.replace(APP_ID, " " + APP_ID),
        f"{AGORA}.app_id: has leading or trailing white space: remove it",
    ),
    "an App ID too short": (
        MINIMAL.replace(APP_ID, APP_ID[1:]),
        f"{AGORA}.app_id: must be 32 hex digits, but has 31 characters",
    ),
    "an App ID of letters": (
        MINIMAL.replace(APP_ID, "g" * 32),
        f"{AGORA}.app_id: must be 32 hex digits, but has other characters",
    ),
    "no App ID": (MINIMAL.replace("app_id", "#"), f"{AGORA}.app_id: is missing: add it"),
    "no state": (MINIMAL.replace("state", "#"), f"{AT_KEY}: state: is missing: add it"),
    "an unknown state": (MINIMAL.replace("active", "on"), f"{AT_KEY}: state: "),
    "a key's name": (MINIMAL.replace('id = "cert-1"', 'id = "a b"'), f"{AT_KEY}: id: "),
    "a secret in the file": (
        MINIMAL.replace('{ file = "cert" }', f'"{CERTIFICATE}"'),
        f'{AT_KEY}: secret: must be {{ file = "PATH" }} or {{ env = "NAME" }}',
    ),
    "a secret from two places": (
        MINIMAL.replace('{ file = "cert" }', '{ file = "a", env = "B" }'),
        f"{AT_KEY}: secret: must have either file or env, not both",
    ),
    "a secret for a file's name": (
        MINIMAL.replace('file = "cert"', f'file = "{CERTIFICATE}"'),
        f"{AT_KEY}: secret: must name where the secret is, ",
    ),
    "a secret for a variable's name": (
        MINIMAL.replace('file = "cert"', f'env = "{CERTIFICATE}"'),
        f"{AT_KEY}: secret: must name where the secret is, ",
    ),
    "a whiteboard secret for a variable's name": (
        MINIMAL.replace('file = "cert"', 'env = "a-b/c+d="'),
        f"{AT_KEY}: secret: must name where the secret is, ",
    ),
    "a secret's file missing": (
        MINIMAL.replace('file = "cert"', 'file = "gone"'),
        "gone: No such file or directory",
    ),
    "a secret's variable missing": (
        MINIMAL.replace('file = "cert"', 'env = "GONE"'),
        f"{AT_KEY}: secret: environment variable GONE is not set: set it to the secret",
    ),
    "a secret with a space": (
        MINIMAL.replace('file = "cert"', 'file = "spaced"'),
        "spaced has leading or trailing white space: remove it",
    ),
    "a secret in two lines": (
        MINIMAL.replace('file = "cert"', 'file = "lines"'),
        "lines must be text without spaces and line breaks",
    ),
    "a secret that is none": (
        MINIMAL.replace('file = "cert"', 'file = "long"'),
        "long is too large: more than 4096 bytes",
    ),
    "an access key with a space": (
        FULL.replace('access_key = "AK"\n', 'access_key = " AK"\n'),
        f"{AT_ACCESS_KEY}: access_key: has leading or trailing white space: remove it",
    ),
    "an empty access key": (
        FULL.replace('access_key = "AK"\n', 'access_key = ""\n'),
        f"{AT_ACCESS_KEY}: access_key: must be text without spaces and line breaks, and not",
    ),
    "an empty secret": (
        MINIMAL.replace('file = "cert"', 'file = "empty"'),
        "empty is empty: it must contain the secret",
    ),
    "a certificate too short": (
        MINIMAL.replace('file = "cert"', 'file = "short"'),
        f"{AT_KEY}: secret: must be 32 hex digits, but has 4 characters",
    ),
    "no keys": (
        "[projects.classroom]\n" + CALLER,
        "projects.classroom: has no keys: add an agora or",
    ),
    "an id twice": (
        FULL.replace('id = "ak-1"\n', 'id = "cert-1"\n'),
        "projects.classroom: two keys have the id 'cert-1': rename one",
    ),
    "two active keys": (
        FULL.replace('"verify_only"', '"active"'),
        "projects.classroom: the agora keys cert-1 and cert-2 are both active, but at most "
        "one may be",
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_file_key_and_cure(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, {"CERT_2": CERTIFICATE})
    (line,) = str(caught.value).splitlines()
    assert re.match(rf"{re.escape(str(tmp_path))}/token-authority\.toml(:\d+)?: ", line)
    assert expected in line
    for secret in (CERTIFICATE, SECRET_KEY, "5CFd"):
        assert secret not in line


def test_several_mistakes_are_a_line_each(tmp_path: Path) -> None:
    text = with_server("reflection = 7\ndrain = 1").replace(APP_ID, "x")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SERVER__DRAIN", "soon", "server.drain: must be a number and a unit"),
        ("SERVER__REFLECTION", "true\nmore = 1", "server.reflection: "),
        ("SERVER__LISTNE", "[]", "server.listne: is not a key: did you mean 'listen'?"),
        ("SERVR__DRAIN", "1s", "servr: is not a key: did you mean 'server'?"),
        ("SERVER__DRAIN__MORE", "1s", "server.drain is not a table: correct the name"),
        ("PROJECTS__CLASSROOM__AGORA__APP_ID", "x", "projects.classroom.agora.app_id: must be"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL, {f"TOKEN_AUTHORITY__{name}": value})
    (line,) = str(caught.value).splitlines()
    assert expected in line
    assert f"TOKEN_AUTHORITY__{name}" in line


@pytest.mark.parametrize(
    "name",
    [
        "TOKEN_AUTHORITY_SERVER__DRAIN",
        "token_authority__server__drain",
        "TOKEN_AUTHORITY___SERVER__DRAIN",
    ],
)
def test_a_variable_that_is_almost_an_override_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: "):
        load(tmp_path, MINIMAL, {name: "1s"})


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    # Kubernetes sets these for a service called token-authority.
    names = (
        "TOKEN_AUTHORITY_SERVICE_HOST",
        "TOKEN_AUTHORITY_PORT_50051_TCP",
        "TOKEN_AUTHORITY_TARGET",
    )
    load(tmp_path, MINIMAL, dict.fromkeys(names, "x"))


def test_a_mistake_of_the_file_is_not_blamed_on_a_variable(tmp_path: Path) -> None:
    twice = FULL.replace('id = "ak-1"\n', 'id = "cert-1"\n')
    environment = {
        "CERT_2": CERTIFICATE,
        "TOKEN_AUTHORITY__PROJECTS__CLASSROOM__AGORA__APP_ID": APP_ID,
        "TOKEN_AUTHORITY__SERVER__DRAIN": "1s",
    }
    for text, expected in (
        (twice, "two keys have the id"),
        ("server = 1\n" + MINIMAL, "server: must be"),
    ):
        with pytest.raises(ConfigError, match=expected) as caught:
            load(tmp_path, text, environment)
        assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
def test_a_value_that_is_too_much_for_toml_is_no_traceback(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, with_server(f"drain = {value}"))
    with pytest.raises(
        ConfigError, match=r"TOKEN_AUTHORITY__SERVER__DRAIN: server\.drain: must be"
    ):
        load(tmp_path, MINIMAL, {"TOKEN_AUTHORITY__SERVER__DRAIN": value})


@pytest.mark.parametrize("name", ["gone.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / name, {})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path, {})


def sections(model: type[BaseModel]) -> set[str]:
    """Names every key that a model and its inner models know."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        names.add(name)
        for inner in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names |= sections(inner)
    return names


EXAMPLE = ROOT / "server/deploy/token-authority.toml"


def test_the_commented_example_loads_and_names_every_key() -> None:
    text = EXAMPLE.read_text()
    keys = set()
    for line in text.splitlines():
        keys.add(line.lstrip("# ").partition("=")[0].strip())
        keys.update(line.strip("# []").split("."))
    assert sections(Settings) | {"agora", "certificates"} <= keys
    environment = {"APP_CERTIFICATE_2026": CERTIFICATE, "WHITEBOARD_SK": SECRET_KEY}
    settings = config.load(EXAMPLE, environment)
    # What is commented out is the default.
    defaults = Settings.model_validate({"projects": settings.projects, "callers": settings.callers})
    assert settings.server == defaults.server
    assert settings.log == defaults.log
    assert settings.audit == defaults.audit
    assert settings.limits == defaults.limits
    assert settings.authentication == defaults.authentication
    assert settings.authorization == defaults.authorization
    (caller,) = settings.callers
    given = {name: getattr(caller, name) for name in ("name", "identities")}
    (grant,) = caller.grants
    dimensions = ("name", "project", "tokens", "roles", "channels", "users", "rooms")
    given_to_grant = {name: getattr(grant, name) for name in dimensions}
    assert grant == GrantSettings.model_validate(given_to_grant)
    assert caller == CallerSettings.model_validate({**given, "grants": (grant,)})


def test_every_option_of_the_example_works_when_uncommented(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\[.*\]$|[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    authority = write_tls(tmp_path)
    (tmp_path / "client-ca.pem").write_bytes(authority)
    (tmp_path / "kubernetes-ca.pem").write_bytes(authority)
    (tmp_path / "denied.toml").touch()
    environment = {
        "APP_CERTIFICATE_2026": CERTIFICATE,
        "APP_CERTIFICATE_2025": CERTIFICATE,
        "WHITEBOARD_SK": SECRET_KEY,
        "ENCRYPTION_SECRET_2026": bytes(range(32)).hex(),
        "REDIS_URL": "redis://127.0.0.1/",
    }
    path = tmp_path / "all.toml"
    path.write_text(text)
    settings = config.load(path, environment)
    assert settings.server.tls
    assert settings.server.tls.client_ca == authority
    assert settings.authentication.jwt
    check_expectations(settings, Moments())


def test_a_change_while_files_are_read_is_a_change(tmp_path: Path) -> None:
    file = ConfigFile(write_config(tmp_path, MINIMAL), {})
    file.load()
    before = file.signatures
    assert before.keys() == {file.path, tmp_path / "cert"}
    assert signatures_of(before, ReadProgress()) == before
    # Corrected permissions are a change as well.
    (tmp_path / "cert").chmod(0o400)
    assert signatures_of(before, ReadProgress()) != before


@pytest.mark.parametrize("name", ["SERVER__TLS__CERTIFICATE", "AUDIT__FILE", "X\udcff"])
def test_an_override_that_is_not_utf_8_is_refused(tmp_path: Path, name: str) -> None:
    variable = f"TOKEN_AUTHORITY__{name}"
    shown = variable.replace("\udcff", r"\udcff")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL, {variable: "a\udcc3b"})
    assert str(caught.value) == f"{shown}: is not UTF-8 text: correct it"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "redis://127.0.0.1:port/", "127.0.0.1"])
def test_a_url_that_is_not_of_redis_is_refused_without_it(tmp_path: Path, url: str) -> None:
    text = MINIMAL + '[limits]\nredis = { env = "REDIS_URL" }\n'
    with pytest.raises(ConfigError, match=r"limits\.redis: ") as caught:
        load(tmp_path, text, {"REDIS_URL": url})
    assert url not in str(caught.value)
