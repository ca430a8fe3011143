"""The version of the client, which it sends in `user-agent`.

Not read from the installed package: importing importlib.metadata takes a tenth of the client's
import, and reading it at the first call would block an event loop.
"""

from typing import Final

VERSION: Final = "0.1.0"
