"""The base class of all tables of the configuration file."""

from typing import Final

from pydantic import BaseModel, ConfigDict

NAME: Final = r"^[a-z][0-9a-z-]{0,62}$"
"""The form of names of projects, callers and grants."""


class Section(BaseModel):
    """A table of the file: frozen; keys that it does not declare are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )
