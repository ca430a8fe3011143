"""Forks while eight threads are in calls; the children report in exit codes.

    fork_while_calling.py TARGET [FORKS]

Exits with 1 if the client is at fault. gRPC's own faults at a fork are counted and printed, and
accepted in one child of twenty (client/README.md has how often they happen): a child that crashes
in gRPC's threads, a child that hangs in os.fork before it runs any Python, and calls of the parent
that end at their deadline.
"""

import os
import signal
import sys
import threading
import time
from typing import NoReturn

from token_authority_client import ClientClosed, DeadlineExceeded, TokenAuthorityClient

LIMIT_SECONDS = 10


class Calls:
    """Calls of several threads, one after another, until `stop` is set."""

    def __init__(self, client: TokenAuthorityClient) -> None:
        self.stop = threading.Event()
        self.lost = 0
        """The calls that ended at their deadline."""
        self._client = client
        self._threads = [threading.Thread(target=self._call) for _ in range(8)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def call_once(self) -> None:
        try:
            self._client.issue_chat_token(app=True)
        except DeadlineExceeded:
            self.lost += 1

    def _call(self) -> None:
        while not self.stop.is_set():
            self.call_once()


def refused_at_once(client: TokenAuthorityClient) -> bool:
    started = time.monotonic()
    try:
        client.issue_chat_token(app=True)
    except ClientClosed as error:
        return error.reason == "PROCESS_FORKED" and time.monotonic() - started < 1
    return False


def exit_code(pid: int) -> int:
    """Waits for a child; ends one that hangs so early that its SIGALRM is not yet set."""
    give_up_at = time.monotonic() + LIMIT_SECONDS + 2
    while time.monotonic() < give_up_at:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def child(client: TokenAuthorityClient, target: str) -> NoReturn:
    # SIGALRM ends a child that hangs.
    signal.alarm(LIMIT_SECONDS)
    with client, TokenAuthorityClient(target) as another:
        ok = refused_at_once(client) and refused_at_once(another)
        try:
            client.token_source_of_the_parent.get()  # type: ignore[attr-defined]
        except ClientClosed as error:
            ok = ok and error.reason == "PROCESS_FORKED"
        else:
            ok = False
    # As multiprocessing does: the threads that gRPC starts again in a child may abort later.
    os._exit(0 if ok else 3)


def main() -> int:
    target = sys.argv[1]
    forks = int(sys.argv[2]) if sys.argv[2:] else 20
    client = TokenAuthorityClient(target)
    source = client.chat_token_source(app=True)
    source.get()
    client.token_source_of_the_parent = source  # type: ignore[attr-defined]
    calls = Calls(client)
    calls.start()
    time.sleep(0.2)
    codes = list[int]()
    for _ in range(forks):
        pid = os.fork()
        if pid == 0:
            child(client, target)
        codes.append(exit_code(pid))
    calls.call_once()
    calls.stop.set()
    calls.join()
    client.close()
    crashed = codes.count(-signal.SIGABRT) + codes.count(-signal.SIGSEGV)
    hung = codes.count(-signal.SIGKILL)
    print(f"{crashed} crashed, {hung} hung, {calls.lost} calls lost; {codes}")  # noqa: T201
    return 0 if crashed + hung <= forks / 20 and codes.count(0) + crashed + hung == forks else 1


if __name__ == "__main__":
    sys.exit(main())
