"""What gRPC does in this process, which decides whether it can be used after a fork."""

import os
from typing import Final

from token_authority_client._errors import ClientClosed

_ADVICE: Final = "create the client after the fork, in each worker process"


class Process:
    """The state of this process.

    gRPC survives a fork only if no thread is inside it at that moment, and its asyncio API keeps a
    thread inside it for good. Else children hang or abort (measured: a third of them).
    """

    generation = 0
    """The number of forks between the first process and this one."""
    calls: Final = set[object]()
    """Blocking calls in flight."""
    uses_asyncio = False
    forked_in_use = False
    """Whether gRPC was in use when this process was forked."""

    @classmethod
    def after_fork(cls) -> None:
        """Adjusts the state in a new child."""
        cls.generation += 1
        cls.forked_in_use = cls.forked_in_use or cls.uses_asyncio or bool(cls.calls)
        cls.calls.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Process.after_fork)


def forked(problem: str) -> ClientClosed:
    """Returns the error of a client that cannot be used after a fork."""
    return ClientClosed(f"{problem}: {_ADVICE}", reason="PROCESS_FORKED", advice=_ADVICE)
