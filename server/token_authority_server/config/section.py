"""What every table of the file has in common."""

from typing import Final

from pydantic import BaseModel, ConfigDict

NAME: Final = r"^[a-z][0-9a-z-]{0,62}$"
"""How projects, callers and grants are called."""


class Section(BaseModel):
    """A table of the file: frozen, and no key but those it declares."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )
