"""Tests the units of server/deploy/systemd in a Debian that systemd.sh has booted.

Usage: `run_systemd.py install` prints the script that installs and configures; `run_systemd.py test
PID` tests the units of the systemd with that process id. Both take their commands from the blocks
of server/OPERATIONS.md. Stops at the first failure.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.documents import blocks, section  # noqa: E402  # the path has to be set first

SERVER: Final = HERE.parents[1] / "server"
GUIDE: Final = (SERVER / "OPERATIONS.md").read_text()
RECIPE: Final = section((SERVER / "SECRETS.md").read_text(), "systemd credentials")
HOME: Final = "/srv"
FOLDER: Final = f"{HOME}/token-authority"
SDIST: Final = f"{HOME}/sdist"
CREDENTIALS: Final = "/run/credentials/token-authority.service"
STATE: Final = "/var/lib/token-authority"
PORTS: Final = (9464, 9465)
"""Admin listeners of two instances."""
LOADS: Final = 4
EXPORTS: Final = f"""
export HOME={HOME} PATH=/opt/token-authority/bin:/usr/sbin:/usr/bin:/sbin:/bin COLUMNS=100
export TOKEN_AUTHORITY_TARGET=localhost:50051 TOKEN_AUTHORITY_CA={FOLDER}/ca.pem
export TOKEN_AUTHORITY_TOKEN_FILE={FOLDER}/lesson-service.key
"""
ISSUE: Final = "token-authority issue rtc --channel lesson-1 --uid 7 --role publisher"
NEW_CERTIFICATE: Final = """
[[projects.classroom.agora.certificates]]
id = "certificate-2027"
secret = { file = "$CREDENTIALS_DIRECTORY/certificate-2027" }
state = "active"
"""
LOAD: Final = f"""
import select, sys
from token_authority_client import ApiKeyFile, Tls, TokenAuthorityClient
calls = 0
tls, key = Tls(ca="{FOLDER}/ca.pem"), ApiKeyFile("{FOLDER}/lesson-service.key")
with TokenAuthorityClient("localhost:50051", tls=tls, credential=key, timeout=20) as client:
    while not select.select([sys.stdin], [], [], 0.05)[0]:  # below the caller's rate limit
        client.issue_rtc_token(channel="lesson-1", uid=7, role="publisher")
        calls += 1
print(calls)
"""
(ROLLING,) = re.findall(
    r"^```sh systemd\n(for .*?)^```", section(GUIDE, "Several instances"), re.MULTILINE | re.DOTALL
)
"""Restarts all instances, one after the other."""
PROBE_FILE: Final = Path("/opt/token-authority/bin/probe.py")
PROBE: Final = f"""
import ctypes, errno, json, mmap, os, socket, subprocess, time

def call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

outcomes = {{}}
for name, attempt in {{
    "write its state": lambda: open("{STATE}/probe", "w"),
    "read its credentials": lambda: open(os.environ["CREDENTIALS_DIRECTORY"] + "/tls.key"),
    "read another unit's credentials": lambda: open("{CREDENTIALS}/tls.key"),
    "read a secret in /etc": lambda: open("/etc/token-authority/tls.key"),
    "write to /etc": lambda: open("/etc/probe", "w"),
    "write to /usr": lambda: open("/usr/probe", "w"),
    "write to its program": lambda: open("{PROBE_FILE}", "w"),
    "write to /var/lib": lambda: open("/var/lib/probe", "w"),
    "write to a kernel setting": lambda: open("/proc/sys/kernel/hostname", "w"),
    "read /root": lambda: os.listdir("/root"),
    "run a program in /home": lambda: subprocess.run(["/home/probe/true"]),
    "make a setuid file": lambda: os.chmod("{STATE}/probe", 0o4700),
    "become root": lambda: os.setuid(0),
    "mount": lambda: call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None),
    "create a namespace": lambda: call("unshare", 0x10000000),
    "trace a process": lambda: call("ptrace", 16, os.getppid(), None, None),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "map writable code": lambda: mmap.mmap(-1, 4096, prot=7),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "see systemd in /proc": lambda: os.listdir("/proc/1"),
}}.items():
    try:
        attempt()
        outcomes[name] = "allowed"
    except OSError as error:
        outcomes[name] = errno.errorcode[error.errno]
os.unlink("{STATE}/probe")
print(json.dumps(outcomes))
"""
"""Attempts, each with its outcome: "allowed" or the name of an error."""


def install() -> None:
    """Prints the script of the first chapter, up to the step that serves in a terminal."""
    chapter = section(GUIDE, "1. Install (two minutes)")
    print(f"export LANG=C.UTF-8\ncd {HOME}/release")
    print(blocks("sh", chapter)[0])
    print("export PATH=/opt/token-authority/bin:$PATH")
    for title in ("2. Secrets and certificates (three minutes)", "3. Two callers (three minutes)"):
        print(*blocks("sh", section(GUIDE, title)), sep="\n")
    print(f"umask 022\nmkdir {SDIST}")
    print(
        f"tar --extract --strip-components 1 --directory {SDIST} "
        f"--file {HOME}/release/agora_token_authority-*.tar.gz"
    )


class Machine:
    """The booted Debian.

    Args:
        systemd: Process id of its systemd.
    """

    def __init__(self, systemd: int) -> None:
        self.followed: list[str] = []
        """The blocks that have been run."""
        self._enter = ("nsenter", "--all", "--target", str(systemd), "env", "-i", "sh", "-euc")

    def run(self, script: str, folder: str = FOLDER, *, code: int = 0) -> str:
        """Runs a script as root, which must end with a code; returns what a terminal shows."""
        done = subprocess.run(
            [*self._enter, f"{EXPORTS}\numask 077\ncd {folder}\n{script}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == code, f"{script}\nended with {done.returncode}: {done.stdout}"
        return done.stdout

    def follow(self, title: str, folder: str = FOLDER) -> None:
        """Runs the blocks for systemd of a chapter, and compares what they print."""
        for language, block in re.findall(
            r"^```(sh|console) systemd\n(.*?)^```", section(GUIDE, title), re.MULTILINE | re.DOTALL
        ):
            self.followed.append(block)
            if language == "sh":
                self.run(block, SDIST if "server/deploy" in block else folder)
                continue
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                pattern = re.escape(shown).replace("…", ".*")
                self.until(command, re.compile(pattern).fullmatch)

    def until(self, script: str, holds: Callable[[str], Any], seconds: float = 30) -> str:
        """Repeats a script until what it prints is as it should be; returns that."""
        deadline = time.monotonic() + seconds
        while not holds(printed := self.run(f"{{ {script}; }} || true")):
            assert time.monotonic() < deadline, f"{script}\nprints: {printed}"
            time.sleep(0.2)
        return printed

    def ready(self, port: int = 9464) -> None:
        """Waits until an instance is ready."""
        self.until(f"curl --silent http://127.0.0.1:{port}/readyz", lambda text: "SERVING" in text)

    def show(self, unit: str) -> dict[str, str]:
        """Returns the properties of a unit."""
        pairs = (line.partition("=") for line in self.run(f"systemctl show {unit}").splitlines())
        return {name: value for name, _, value in pairs}

    @contextmanager
    def calls(self) -> Generator[None]:
        """Issues tokens from several clients until the block ends; no call may fail."""
        loads = [
            subprocess.Popen(
                [*self._enter, f'{EXPORTS}\nexec python -c "$0"', LOAD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(LOADS)
        ]
        try:
            time.sleep(2)
            yield
            time.sleep(1)
        finally:
            outputs = [load.communicate("", 60)[0] for load in loads]
        assert all(load.returncode == 0 for load in loads), outputs
        counts = [int(output) for output in outputs]
        assert min(counts) > 0, f"calls of each client: {counts}"
        print(f"  {sum(counts)} calls, 0 failed")


def test(machine: Machine) -> None:
    """Runs the blocks of the guide in its order, and tests what they have started."""
    machine.until("systemctl is-system-running", lambda text: text == "running\n")
    machine.follow("Install")
    machine.ready()
    tokens = [machine.run(ISSUE).split()[0]]
    print("single unit: enabled, started, issued a token with a credential of LoadCredential=")
    sandbox(machine)

    machine.run("token-authority whoami --token-file support.key")
    machine.follow("Revoke a caller, deny a user")
    machine.until(
        "token-authority whoami --token-file support.key", lambda text: "invalid credential" in text
    )
    print("reload: a caller was revoked")

    machine.follow("Read the audit trail")
    machine.until(f"ls {STATE}", lambda text: text == "audit.jsonl\naudit.jsonl.1\n")
    tokens.append(machine.run(ISSUE).split()[0])
    machine.run(f"token-authority audit verify {STATE}/audit.jsonl.1 {STATE}/audit.jsonl")
    print("reload: the audit file is reopened, and the chain continues")
    encrypted_credential(machine)
    killed(machine, "token-authority", 9464)

    machine.follow("Several instances")
    # On a machine with one core, the guide's command starts one.
    machine.run(f"systemctl start {' '.join(map(instance, PORTS))}")
    for port in PORTS:
        machine.ready(port)
        metrics = f"{ISSUE} && curl --silent http://127.0.0.1:{port}/metrics"
        machine.until(metrics, lambda text: "\ntoken_authority_tokens_issued_total{" in text, 90)
    print(f"instances: {len(PORTS)} share the port")
    for port in PORTS:
        with machine.calls():
            killed(machine, instance(port), port)
    for port in PORTS:
        with machine.calls():
            stopped(machine, instance(port))
        machine.run(f"systemctl start {instance(port)}")
        machine.ready(port)
    with machine.calls():
        machine.run(ROLLING)
    print("instances: restarted one after the other")
    machine.run("systemctl stop token-authority.target")
    assert all(machine.show(instance(port))["ActiveState"] == "inactive" for port in PORTS)
    machine.run("systemctl start token-authority.target")
    for port in PORTS:
        machine.ready(port)
    print("target: stops and starts all instances")
    no_secret_in_the_journal(machine, tokens)
    assert machine.followed == blocks("(?:sh|console) systemd", GUIDE), "a block was not run"
    print(f"guide: {len(machine.followed)} blocks were run")


def encrypted_credential(machine: Machine) -> None:
    """Rotates to an App Certificate that systemd decrypts, as SECRETS.md says."""
    ((encrypt,), (unit,)) = blocks("sh systemd", RECIPE), blocks("ini", RECIPE)
    machine.run(f"""openssl rand -hex 16 >certificate-2027
        {encrypt}
        umask 022
        for unit in token-authority token-authority@; do
            mkdir /etc/systemd/system/$unit.service.d
            cat >/etc/systemd/system/$unit.service.d/credentials.conf <<'EOF'\n{unit}\nEOF
        done
        cd /etc/token-authority
        sed -i '/^id = "certificate-2026"/,/^state/ s/"active"/"verify_only"/' token-authority.toml
        cat >>token-authority.toml <<'EOF'\n{NEW_CERTIFICATE}\nEOF
        systemctl daemon-reload
        systemctl restart token-authority""")
    machine.ready()
    assert "certificate-2027" in machine.run(ISSUE)
    print("LoadCredentialEncrypted=: an encrypted App Certificate is in use")


def instance(port: int) -> str:
    """Returns the unit of an instance."""
    return f"token-authority@{port}.service"


def killed(machine: Machine, unit: str, port: int) -> None:
    """Kills the process of a unit, which has to come back."""
    before = machine.show(unit)
    machine.run(f"systemctl kill --signal KILL {unit}")
    restarts = int(before["NRestarts"]) + 1
    machine.until(
        f"systemctl show --property NRestarts {unit}",
        lambda text: text == f"NRestarts={restarts}\n",
    )
    machine.ready(port)
    assert machine.show(unit)["MainPID"] != before["MainPID"]
    print(f"{unit}: killed, restarted by systemd")


def stopped(machine: Machine, unit: str) -> None:
    """Stops a unit, which has to drain."""
    started = time.monotonic()
    machine.run(f"systemctl stop {unit}")
    seconds = time.monotonic() - started
    after = machine.show(unit)
    ended = {name: after[name] for name in ("ActiveState", "Result", "ExecMainStatus")}
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, after
    assert '"draining"' in machine.run(f"journalctl --output cat --lines 200 --unit {unit}")
    print(f"{unit}: stopped in {seconds:.1f} s, exit code 0")


def sandbox(machine: Machine) -> None:
    """Runs PROBE in place of the server, with every setting of the unit."""
    unit = machine.run("cat /etc/systemd/system/token-authority@.service")
    for setting, value in {
        "ExecStart": f"{PROBE_FILE.parent}/python {PROBE_FILE}",
        "Type": "oneshot",
        "Restart": "no",
        "Conflicts": "",
    }.items():
        unit = re.sub(f"^{setting}=.*$", f"{setting}={value}", unit, flags=re.MULTILINE)
    printed = machine.run(f"""umask 022
        mkdir /home/probe
        cp /bin/true /home/probe
        cat >{PROBE_FILE} <<'EOF'\n{PROBE}\nEOF
        cat >/run/systemd/system/token-authority-probe@.service <<'EOF'\n{unit}\nEOF
        systemctl daemon-reload
        systemctl start token-authority-probe@9470
        journalctl --output cat --unit token-authority-probe@9470 | grep ^{{""")
    outcomes: dict[str, str] = json.loads(printed)
    allowed = {name for name, outcome in outcomes.items() if outcome == "allowed"}
    print("sandbox:", ", ".join(f"{name}: {outcome}" for name, outcome in outcomes.items()))
    assert allowed == {"write its state", "read its credentials"}, allowed


def no_secret_in_the_journal(machine: Machine, tokens: list[str]) -> None:
    """Looks for every secret and token in all fields of the journal."""
    files = "certificate-2026 certificate-2027 lesson-service.key support.key tls.key"
    secrets = [line for line in machine.run(f"cat {files}").splitlines() if "-----" not in line]
    journal = machine.run("journalctl --output export --all")
    assert journal.count('"event": "serving"') > len(PORTS)
    assert len(secrets) > 4
    assert not [secret for secret in (*secrets, *tokens) if secret in journal]
    print(f"journal: {len(journal) // 1000} kB with none of {len(secrets)} secrets, no token")


if __name__ == "__main__":
    if sys.argv[1] == "install":
        install()
    else:
        machine = Machine(int(sys.argv[2]))
        try:
            test(machine)
        except AssertionError:
            print(machine.run("journalctl | grep -v '\"issued\"' | tail -n 60"), file=sys.stderr)
            raise
