"""What gRPC does in this process, which decides whether it can be used after a fork."""

import gc
import os
from typing import Any, Final
from weakref import WeakSet


class ForkState:
    """Whether this process was forked, and whether gRPC was in use then.

    gRPC survives a fork only if no thread is inside it at that moment, and its asyncio API keeps a
    thread inside it for good. Else the child's calls hang or abort (measured: a third of them), and
    so do the destructors of channels when the child's interpreter exits (7 to 27 %).
    """

    generation = 0
    """The number of forks between the first process and this one."""
    calls: Final = set[object]()
    """Blocking calls in flight."""
    channels: Final = WeakSet[Any]()
    """The open channels."""
    uses_asyncio = False
    forked_in_use = False
    """Whether gRPC was in use when this process was forked."""

    @classmethod
    def after_fork(cls) -> None:
        """Adjusts the state in a new child."""
        cls.generation += 1
        cls.forked_in_use = cls.forked_in_use or cls.uses_asyncio or bool(cls.calls)
        cls.calls.clear()
        if cls.forked_in_use:
            cls._keep_channels()

    @classmethod
    def _keep_channels(cls) -> None:
        """Keeps the parent's channels and calls from ever being destroyed in this process.

        Their destructors would wait for threads that do not exist here, at the latest when the
        interpreter exits. Neither reference counts nor the garbage collector free a cycle that is
        frozen.
        """
        kept: list[Any] = list(cls.channels)
        kept.append(kept)
        gc.freeze()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ForkState.after_fork)
