import subprocess
import sys

# PR_GET_DUMPABLE is 3. Who may trace a process may read its environment: as root everybody may, so
# root becomes nobody first.
PROGRAM = """
import ctypes, os
if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
libc = ctypes.CDLL(None)
libc.prctl(4, 1, 0, 0, 0)
owner = lambda: os.stat(f"/proc/{os.getpid()}/environ").st_uid == os.getuid()
before = (libc.prctl(3, 0, 0, 0, 0), owner())
forbid_dumps()
print(before, (libc.prctl(3, 0, 0, 0, 0), owner()))
child = os.fork()
if not child:
    try:
        open(f"/proc/{os.getppid()}/mem", "rb")
    except PermissionError:
        os._exit(3)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
SERVING = """
import ctypes, os, signal, sys
from token_authority_server.config import dev_settings
from token_authority_server.process.serve import serve

def on_ready(_):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

serve(dev_settings(["127.0.0.1:0"], {}), None, on_ready)
"""


def run(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout


def test_memory_is_closed_to_processes_of_the_same_user() -> None:
    imported = "from token_authority_server.process.hardening import forbid_dumps\n"
    assert run(imported + PROGRAM) == "(1, True) (0, False)\n3\n"


def test_a_server_forbids_dumps() -> None:
    assert run(SERVING) == "0\n"
