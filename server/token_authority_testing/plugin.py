"""The pytest plugin: the fixture `token_authority`. Until its first use, it imports only pytest."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from token_authority_testing.fake import FakeTokenAuthority


@pytest.fixture(scope="session")
def token_authority() -> "Generator[FakeTokenAuthority]":
    """A token authority for the whole run, with `target`, `client()` and `async_client()`.

    A test that stops it must start it again.
    """
    from token_authority_testing.fake import FakeTokenAuthority  # noqa: PLC0415  # when used

    try:
        authority = FakeTokenAuthority()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)
    with authority:
        yield authority
