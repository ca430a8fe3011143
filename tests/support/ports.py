"""Free ports."""

import socket
from typing import Final

_HELD: Final[list[socket.socket]] = []


def free_port() -> int:
    """Returns a port that nothing listens on, and that only who names it can bind.

    A socket that does not listen holds it until this process ends. Connections to it are refused,
    and servers can bind it, as they set SO_REUSEADDR too; but the kernel gives it to no test that
    connects, or listens on any port, meanwhile.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _HELD.append(holder)
    port: int = holder.getsockname()[1]
    return port
