from token_authority_server.errors import Reason
from token_authority_server.rpc.status import CODES


def test_every_reason_has_a_status_code() -> None:
    assert set(CODES) == set(Reason)
