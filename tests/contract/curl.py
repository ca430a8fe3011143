"""Stands in for curl where it is not installed: the options that WITHOUT_STUBS.md uses, no more."""

import argparse
import sys
import urllib.error
import urllib.request

# curl's exit code for an HTTP status of 400 and more.
HTTP_ERROR = 22


def main() -> int:
    """Sends one request, prints the body of the answer and returns curl's exit code."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("url")
    for option in ("--silent", "--show-error", "--fail", "--fail-with-body"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    lines = [
        line
        for header in options.header
        for line in (sys.stdin.read().splitlines() if header == "@-" else [header])
    ]
    request = urllib.request.Request(  # noqa: S310  # the test's own URL
        options.url,
        options.data.encode() if options.data else None,
        {name: value.strip() for name, _, value in (line.partition(":") for line in lines)},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310  # likewise
            sys.stdout.write(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            if options.fail_with_body:
                sys.stdout.write(error.read().decode())
        return HTTP_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
