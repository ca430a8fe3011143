import threading

from token_authority_server.process.moments import read_moment


def test_no_two_moments_share_their_random_bytes() -> None:
    moments = [read_moment() for _ in range(600)]

    def more() -> None:
        moments.extend(read_moment() for _ in range(600))

    threads = [threading.Thread(target=more) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.random_bytes for one in moments}) == len(moments) == 3000
    assert {len(one.random_bytes) for one in moments} == {16}
    assert len({one.salt for one in moments}) > 2990
    assert all(0 <= one.salt < 1 << 32 for one in moments)
