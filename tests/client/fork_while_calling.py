"""Forks while eight threads are in calls; the children report in exit codes.

Usage: fork_while_calling.py TARGET [FORKS]
"""

import os
import signal
import sys
import threading
import time
from typing import NoReturn

from token_authority_client import ClientClosed, TokenAuthorityClient

LIMIT_SECONDS = 10


def call_until(client: TokenAuthorityClient, stop: threading.Event) -> None:
    while not stop.is_set():
        client.issue_chat_token(app=True)


def refused_at_once(client: TokenAuthorityClient) -> bool:
    started = time.monotonic()
    try:
        client.issue_chat_token(app=True)
    except ClientClosed as error:
        return error.reason == "PROCESS_FORKED" and time.monotonic() - started < 1
    return False


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
    stop = threading.Event()
    threads = [threading.Thread(target=call_until, args=(client, stop)) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    codes = list[int]()
    for _ in range(forks):
        pid = os.fork()
        if pid == 0:
            child(client, target)
        codes.append(os.waitpid(pid, 0)[1])
    client.issue_chat_token(app=True)
    stop.set()
    for thread in threads:
        thread.join()
    client.close()
    print(codes)  # noqa: T201
    # On a busy machine a child may not be soon enough for gRPC's threads (client/README.md).
    aborted = codes.count(signal.SIGABRT)
    return 0 if aborted <= 1 and codes.count(0) + aborted == forks else 1


if __name__ == "__main__":
    sys.exit(main())
