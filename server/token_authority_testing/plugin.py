"""The pytest plugin: the fixture `token_authority`. Until it is used, it imports pytest alone."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from token_authority_testing.fake import FakeTokenAuthority


@pytest.fixture(scope="session")
def token_authority() -> "Generator[FakeTokenAuthority]":
    """A token authority for the whole run: its `target`, and `client()` or `async_client()`.

    Who stops it has to start it again.
    """
    from token_authority_testing.fake import FakeTokenAuthority  # noqa: PLC0415  # when used

    try:
        authority = FakeTokenAuthority()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)
    with authority:
        yield authority
