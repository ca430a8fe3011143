"""The base class of all tables of the configuration file."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

NAME: Final = r"^[a-z][0-9a-z-]{0,62}$"
"""The form of names of projects, callers and grants."""

KeyId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
"""The id of a key or secret."""


class Section(BaseModel):
    """A table of the file: frozen; keys that it does not declare are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True
    )
