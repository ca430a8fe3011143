import pytest

from token_authority_client import ConfigurationError
from token_authority_client._target import parse


@pytest.mark.parametrize(
    ("text", "for_grpc", "endpoints", "is_local"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051", ["127.0.0.1:50051"], True),
        ("localhost:1", "localhost:1", ["localhost:1"], True),
        ("[::1]:50051", "[::1]:50051", ["[::1]:50051"], True),
        ("ta.example.com:443", "ta.example.com:443", ["ta.example.com:443"], False),
        ("dns:///ta.example:443", "dns:///ta.example:443", ["ta.example:443"], False),
        ("dns:ta.example:443", "dns:ta.example:443", ["ta.example:443"], False),
        ("dns:///localhost:443", "dns:///localhost:443", ["localhost:443"], True),
        ("dns://10.0.0.2/localhost:443", "dns://10.0.0.2/localhost:443", [], False),
        (
            "10.0.0.1:1,10.0.0.2:2",
            "ipv4:10.0.0.1:1,10.0.0.2:2",
            ["10.0.0.1:1", "10.0.0.2:2"],
            False,
        ),
        ("127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", None, True),
        ("127.0.0.1:1,10.0.0.2:2", "ipv4:127.0.0.1:1,10.0.0.2:2", None, False),
        ("[::1]:1,[::1]:2", "ipv6:[::1]:1,[::1]:2", ["[::1]:1", "[::1]:2"], True),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", None, False),
        ("ipv6:[fd00::1]:1", "ipv6:[fd00::1]:1", ["[fd00::1]:1"], False),
        ("unix:/run/ta.sock", "unix:/run/ta.sock", ["unix:/run/ta.sock"], True),
        ("unix:///run/ta.sock", "unix:///run/ta.sock", ["unix:/run/ta.sock"], True),
        ("unix-abstract:ta", "unix-abstract:ta", ["unix:\0ta"], True),
        ("xds:///token-authority", "xds:///token-authority", [], False),
    ],
)
def test_targets(text: str, for_grpc: str, endpoints: list[str] | None, is_local: bool) -> None:
    target = parse(text)
    assert (target.text, target.for_grpc, target.is_local) == (text, for_grpc, is_local)
    if endpoints is not None:
        assert [str(endpoint) for endpoint in target.endpoints] == endpoints


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("http://localhost:50051", "write HOST:PORT without http://"),
        ("https://ta.example.com", "write HOST:PORT without https://"),
        ("grpc://localhost:50051", "write HOST:PORT without grpc://"),
        ("localhost", "has no port: for example, write localhost:50051"),
        ("localhost:", "write HOST:PORT"),
        ("localhost:0", "write HOST:PORT"),
        ("localhost:65536", "write HOST:PORT"),
        ("localhost:\u0663", "write HOST:PORT"),
        ("local host:1", "write HOST:PORT"),
        (":50051", "write HOST:PORT"),
        ("", "write HOST:PORT"),
        ("a:1,", "write HOST:PORT"),
        ("a:1,b:2", r"dns:///NAME:PORT"),
        ("127.0.0.1:1,[::1]:1", r"IPv4 addresses or IPv6 addresses"),
        ("unix:", "write unix:/PATH"),
        ("dns:///ta.example.com", "has no port: for example, write dns:///ta.example.com:50051"),
        ("\udcff:1", "bytes that are not UTF-8: write HOST:PORT"),
        ("unix:/\udcff", "bytes that are not UTF-8"),
        ("dns:///\ud800:1", "bytes that are not UTF-8"),
        ("xds:///\udcff", "bytes that are not UTF-8"),
        ("a\0b:1", "control characters"),
        ("unix:/a\nb", "control characters"),
        (50051, "must be a str; got int: write HOST:PORT"),
    ],
)
def test_what_is_no_target_is_told_what_is(text: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        parse(text)
