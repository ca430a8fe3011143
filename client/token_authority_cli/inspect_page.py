"""The page of `token-authority inspect --web`: an HTTP server on loopback for one person.

The page posts a form to its own address and shows the report that comes back. Anyone who knows the
address can inspect tokens with this person's credential, so it has a random path, and everything
else gets the same 404. Neither requests nor paths are logged, and nothing is stored.
"""

import base64
import hashlib
import hmac
import html
import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import Any, Final, cast

from token_authority_cli.inspection_report import Report
from token_authority_cli.loopback_server import (
    HOST,
    REQUEST_SECONDS,
    LoopbackServer,
    TimedReader,
)
from token_authority_cli.output import complain
from token_authority_client import TokenAuthorityError

MAX_BODY_BYTES: Final = 1_048_576
"""A token and a message text of 64 KiB each, as JSON with every character escaped, fit in."""

Explain = Callable[[Mapping[str, str]], Report]
"""Returns the report for a form (an option without dashes -> its text, and `token`).

Raises TokenAuthorityError if there is none."""


class PageServer(LoopbackServer):
    """Serves the page.

    Args:
        explain: Answers a form; called in several threads.
        notice: A sentence of the page: where tokens are inspected.
        port: 1 to 65535; 0: any that is free.

    Raises:
        OSError: The port cannot be listened on.
    """

    def __init__(self, explain: Explain, notice: str, port: int = 0) -> None:
        self.explain = explain
        self.page, self.policy = _page(notice)
        super().__init__(port, _Handler)
        self.authority = f"{HOST}:{self.server_port}"
        self.path = f"/{secrets.token_urlsafe(32)}"
        self.url = f"http://{self.authority}{self.path}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # socketserver's
        """Reports a defect by its type and place: its text may contain a token."""
        error = sys.exception()
        if error is None or isinstance(error, OSError):
            # The browser hung up.
            return
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        line = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
        complain(f"the page got no answer: internal error {type(error).__name__} at {line}")


class _Refused(Exception):
    """A request that did not come from the page, or that the page should not have sent."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    @property
    def _site(self) -> PageServer:
        assert isinstance(self.server, PageServer)
        return self.server

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(TimedReader(self.connection))

    def do_GET(self) -> None:  # http.server's name
        if self._is_for_page():
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self._site.page)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:  # http.server's name
        if not self._is_for_page():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        status, answer = HTTPStatus.OK, dict[str, Any]()
        try:
            answer["report"] = asdict(self._site.explain(self._form()))
        except TokenAuthorityError as error:
            # The exchange with the page succeeded: the text is what the terminal shows.
            answer["error"] = str(error)
        except _Refused as error:
            status, answer["error"] = error.status, str(error)
        self._answer(status, "application/json", json.dumps(answer).encode())

    def _is_for_page(self) -> bool:
        """Whether the path is the secret one, and the Host no name that was rebound to loopback."""
        is_path = hmac.compare_digest(self.path.encode(), self._site.path.encode())
        return is_path and self._header("Host") == self._site.authority

    def _form(self) -> dict[str, str]:
        """Reads the form.

        Raises:
            _Refused: It is not one of this page.
        """
        if self._header("Origin") != f"http://{self._site.authority}" or self._header(
            "Sec-Fetch-Site"
        ) not in (None, "same-origin"):
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself may send requests")
        if self._header("Content-Type") != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "must be application/json")
        length = self._header("Content-Length") or ""
        if not re.fullmatch(r"[0-9]{1,15}", length):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "must have one Content-Length")
        if int(length) > MAX_BODY_BYTES:
            # Read all the same: a browser that is still sending would not read the answer.
            self._skip(int(length))
            message = (
                f"the form must be at most {MAX_BODY_BYTES} bytes: paste less around the token"
            )
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        form: Any = None
        with suppress(ValueError, RecursionError):
            form = json.loads(self.rfile.read(int(length)))
        texts = cast("dict[str, Any]", form if isinstance(form, dict) else {"": None})
        if not all(isinstance(text, str) for text in texts.values()):
            raise _Refused(HTTPStatus.BAD_REQUEST, "must be a JSON object of strings")
        return texts

    def _skip(self, length: int) -> None:
        while length and (read := self.rfile.read(min(length, 65_536))):
            length -= len(read)

    def _header(self, name: str) -> str | None:
        """Returns a header; None if there is none, "" if there are several."""
        values: list[str] = self.headers.get_all(name, [])
        return values[0] if len(values) == 1 else "" if values else None

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        # Malformed requests count as HTTP/0.9, whose answers would have no headers.
        self.request_version = "HTTP/1.0"
        # Without Server and Date, which send_response() adds.
        self.send_response_only(status)
        for name, value in (
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", self._site.policy),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            # With no-referrer, some browsers send `Origin: null` with the form.
            ("Referrer-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.connection.settimeout(REQUEST_SECONDS)
        self.wfile.write(body)

    def send_error(self, *_: Any, **__: Any) -> None:
        """Answers every other request alike, malformed ones included."""
        self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's
        """Logs nothing: lines would have the path."""


def _page(notice: str) -> tuple[bytes, str]:
    """Returns the page, and the policy that allows only its own style and script."""
    text = files("token_authority_cli").joinpath("inspect_page.html").read_text("utf-8")
    policy = [
        "default-src 'none'",
        *[f"{tag}-src '{_hash_of(tag, text)}'" for tag in ("style", "script")],
        "connect-src 'self'",
        # The empty icon: without one, browsers ask for /favicon.ico.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return text.replace("{notice}", html.escape(notice)).encode(), "; ".join(policy)


def _hash_of(tag: str, text: str) -> str:
    (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
