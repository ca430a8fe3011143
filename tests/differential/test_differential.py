"""Our server and Agora's official npm packages build the same tokens for random valid requests.

Both use the same clock, salt and nonce. The texts must be equal; for 007, whose compression is not
portable, the inflated bytes.

    DIFFERENTIAL_SEED=… .venv/bin/pytest tests/differential

repeats the cases of a seed, which every run prints at its end.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential import cases
from differential.compositions import access_token
from differential.drawing import MOMENTS, SEED, Case
from differential.node import Node, node
from families.cases import filled, method_of
from support.decoding import decode, inflate
from support.installing import npm_install
from support.keys import CHANCE, NOW_MS, Moments
from support.serving import Running, running
from token_authority_server.families import FAMILIES, Moment, TokenFamily


def rtc(moment: Moment) -> SearchStrategy[Case]:
    return st.one_of(
        cases.rtc_007_role(moment), cases.rtc_007_privileges(moment), cases.rtc_006(moment)
    )


Drawn = Callable[[Moment], SearchStrategy[Case]]
PLAN: Final[Mapping[str, tuple[int, Drawn]]] = {
    "whiteboard": (250, cases.whiteboard),
    "rtc": (600, rtc),
    "rtm": (350, cases.rtm),
    "chat": (150, cases.chat),
    "education": (250, cases.education),
    "access_token": (400, access_token),
}
"""The number of different cases of each family, and their strategy."""


class Pinned(Moments):
    """The clock and random bytes of the current case."""

    moment = Moment(NOW_MS, 1, CHANCE)

    def __call__(self) -> Moment:
        return self.moment


@pytest.fixture(scope="module")
def packages() -> None:
    npm_install()


@pytest.fixture
async def agora(packages: None) -> AsyncGenerator[Node]:  # noqa: ARG001  # must be installed
    async with node() as started:
        yield started


@pytest.fixture
async def server() -> AsyncGenerator[Running]:
    async with running(moments=Pinned()) as started:
        yield started


def comparable(token: str) -> tuple[str, bytes]:
    """Returns the part of a token that must be equal."""
    return (token[:3], inflate(token)) if token.startswith("007") else ("", token.encode())


def services(token: str) -> dict[int, dict[str, Any]]:
    return {service["type"]: service for service in decode(token).fields["services"]}


async def compare(
    server: Running, agora: Node, kind: TokenFamily[Any, Any], moment: Moment, case: Case
) -> None:
    """Checks that both build the same token."""
    server.moments.moment = moment  # type: ignore[attr-defined]  # Pinned has it
    request = filled(kind.request_type, {}, case.request)
    ours = (await getattr(server.stub, method_of(kind))(request)).issued_token.token
    assert comparable(ours) == comparable(await agora.build(case.call, moment))
    if case.flawed:
        # Only the known defects differ: a missing privilege, and -1 for role 0.
        theirs = services(await agora.build(case.flawed, moment))
        theirs[7]["privileges"] = theirs[2]["privileges"]
        theirs[7]["role"] = max(theirs[7]["role"], 0)
        assert theirs == services(ours)


@st.composite
def moments_and_cases(draw: DrawFn, drawn: Drawn) -> tuple[Moment, Case]:
    moment = draw(MOMENTS)
    return moment, draw(drawn(moment))


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
async def test_a_random_request_gets_the_token_that_agoras_package_makes(
    server: Running, agora: Node, kind: TokenFamily[Any, Any]
) -> None:
    count, drawn = PLAN[kind.name]
    loop = asyncio.get_running_loop()
    compared: set[str] = set()

    @seed(SEED)
    # Some cases are drawn twice.
    @settings(max_examples=count * 3 // 2, deadline=None, database=None)
    @given(moments_and_cases(drawn))
    def check(drawn_case: tuple[Moment, Case]) -> None:
        work = compare(server, agora, kind, *drawn_case)
        asyncio.run_coroutine_threadsafe(work, loop).result(30)
        compared.add(repr(drawn_case))

    # Hypothesis is synchronous: it draws in a thread, and this event loop compares.
    await asyncio.to_thread(check)
    assert len(compared) >= count


def test_there_are_at_least_2000_cases() -> None:
    assert sum(count for count, _ in PLAN.values()) >= 2000
