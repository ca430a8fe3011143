"""Secret strings: redaction of signing keys and other secrets in reprs, logs and pickles."""


class Secret:
    """String that repr(), str(), format() and pickle never reveal."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the text. Only signing, verifying and redaction may call this."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")
