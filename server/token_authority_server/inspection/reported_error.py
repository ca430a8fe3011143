"""Looks up the error that a client reported: by number, name or message text. Pure."""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from token_authority_server.inspection.agora_errors import ERRORS, AgoraError, Meaning, Product
from token_authority_server.inspection.wording import quoted

# Names that several SDKs use: they name what happened, but not the product.
_SHARED_NAMES: Final = frozenset(["invalid token", "token expired", "token will expire"])
_CAMEL_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS: Final = re.compile(r"[^a-z0-9]+")
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z._-])-?[0-9]{1,10}(?![0-9A-Za-z.])")
# An SDK's message is a line; a log that was pasted whole is searched for its first numbers only.
_MAX_NUMBERS: Final = 20


class ReportedError(NamedTuple):
    """The error that a client reported, as far as it is known."""

    code: int
    """0 if only a text was given that has no code."""
    text: str
    entry: AgoraError | None
    """None: not in the table."""
    product: Product | None
    """None if the error does not determine it."""

    def __str__(self) -> str:
        """Names it for a sentence, without line breaks and cut if it is long."""
        text = self.text.strip()
        if self.code and (not text or text == str(self.code)):
            return f"code {self.code}"
        if self.entry is not None:
            return self.entry.name
        return quoted(" ".join(self.text.split()))

    @property
    def meaning(self) -> Meaning | None:
        """Its meaning for the token; None if unknown."""
        return self.entry.meaning if self.entry else None


def _normalized(text: str) -> str:
    words = _BETWEEN_WORDS.sub(" ", _CAMEL_CASE.sub(" ", text).lower()).strip()
    # Newer SDKs write "ConnectionChangedReason…" for "ConnectionChanged…".
    return f" {words} ".replace(" connection changed reason ", " connection changed ")


_PHRASES: Final = [
    (_normalized(phrase), entry) for entry in ERRORS for phrase in (entry.name, *entry.texts)
]
_BY_CODE: Final = {
    code: [entry for entry in ERRORS if entry.code == code]
    for code in {entry.code for entry in ERRORS if entry.code is not None}
}


def find_error(
    code: int,
    text: str,
    *,
    product: Product | None,
    token_products: Collection[Product],
    joined_channel: bool,
) -> ReportedError | None:
    """Looks up what a client reported.

    Args:
        code: The number, or 0.
        text: A name, number or message text in any form, or "".
        product: The product that was used, if it is known.
        token_products: What the token is for. The same number means different things in different
            SDKs: an entry of the token's product is preferred.
        joined_channel: Whether a channel or an integer uid was given, which only RTC's numbers of
            renewToken need.

    Returns:
        None if nothing was reported.
    """
    if not code and not text.strip():
        return None
    phrase, entry = _by_text(text, product, token_products)
    if entry is not None:
        shared = phrase.strip() in _SHARED_NAMES and entry.product not in token_products
        found = product or (None if shared else entry.product)
        return ReportedError(code or entry.code or 0, text, entry, found)
    for number in [*_numbers(text), code]:
        found_entry = _by_code(number, product, token_products, joined_channel)
        if found_entry is not None:
            about_token = found_entry.meaning is not Meaning.OTHER
            found = product or (found_entry.product if about_token else None)
            return ReportedError(number, text, found_entry, found)
    numbers = _numbers(text)
    return ReportedError(code or (numbers[0] if numbers else 0), text, None, product)


def _by_text(
    text: str, product: Product | None, token_products: Collection[Product]
) -> tuple[str, AgoraError | None]:
    """Returns the longest phrase of the table that is in the text, and its entry."""
    if not text:
        return "", None
    normalized = _normalized(text)
    matches = [(phrase, entry) for phrase, entry in _PHRASES if phrase in normalized]
    # The Web SDK's wrapper is in the text next to the cause.
    matches = [match for match in matches if match[1] is not ERRORS[-1]] or matches
    if not matches:
        return "", None
    preferred = {product} if product else set(token_products)
    return max(matches, key=lambda match: (len(match[0]), match[1].product in preferred))


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for match in _NUMBER.finditer(text):
        number = int(match.group())
        if -(2**31) <= number < 2**31:
            found.append(number)
        if len(found) == _MAX_NUMBERS:
            break
    return found


def _by_code(
    code: int,
    product: Product | None,
    token_products: Collection[Product],
    joined_channel: bool,
) -> AgoraError | None:
    entries = _BY_CODE.get(code, [])
    if product is not None:
        return next((entry for entry in entries if entry.product is product), None)
    renewals = [entry for entry in entries if entry.meaning is Meaning.RENEWAL]
    if renewals and joined_channel and Product.RTM not in token_products:
        return renewals[0]
    others = [entry for entry in entries if entry.meaning is not Meaning.RENEWAL]
    own = [entry for entry in others if entry.product in token_products]
    return next(iter([*own, *others, *renewals]), None)
