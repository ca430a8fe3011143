"""Descriptions of violations that are more helpful than protovalidate's: one table. Values only."""

from collections.abc import Mapping
from typing import Final

_UUID: Final = "must be the UUID that Agora's REST API returned: letters, digits, '-' and '_'"
_PRINTABLE: Final = "must be printable ASCII characters except '*', and not start with a space"
ADVICE: Final[Mapping[tuple[str, str], str]] = {
    ("project", "STRING_PATTERN"): "must be lower-case letters, digits and '-', and start with a "
    "letter, as the server's configuration spells it",
    ("channel_name", "STRING_PATTERN"): "must consist of the characters Agora allows: a-z A-Z 0-9 "
    "space and !#$%&()+-:;<=.>?@[]^_{}|~, (for every channel, set any_channel)",
    ("channel_pattern", "STRING_PATTERN"): "must consist of a-z A-Z 0-9 '-' '_' and '*', with "
    "at least one '*', at least one other character, and no '**' (for every channel, set "
    "any_channel)",
    ("key_context", "STRING_PATTERN"): "must be printable ASCII characters",
    ("key_id", "STRING_PATTERN"): "must be letters, digits, '.', '_' and '-': the key_id of an "
    "earlier response, or unset",
    ("user_account", "STRING_PATTERN"): "must consist of the characters Agora allows: a-z A-Z 0-9 "
    "space and !#$%&()+-:;<=.>?@[]^_{}|~,",
    ("Expected.uid", "INT64_GTE_LTE"): "must be from 0 to 4294967295",
    ("uid", "INT64_GTE_LTE"): "must be from 1 to 4294967295 (to admit anyone, set any_user)",
    ("user_id", "STRING_PATTERN"): _PRINTABLE,
    ("WhiteboardRoomScope.room_uuid", "STRING_PATTERN"): _UUID,
    ("task_uuid", "STRING_PATTERN"): _UUID,
    ("room_uuid", "STRING_PATTERN"): _PRINTABLE,
    ("user_uuid", "STRING_PATTERN"): _PRINTABLE,
    ("ChatUser.user_id", "STRING_PATTERN"): "must be a Chat user ID: a-z, 0-9, '_', '-' and '.'",
    ("role", "ENUM_NOT_IN"): "must be set: there is no default role",
    ("format", "ENUM_NOT_IN"): "must be TOKEN_FORMAT_V006, TOKEN_FORMAT_V007 or unset",
    (
        "IssueWhiteboardTokenRequest.ttl",
        "DURATION_GTE_LTE",
    ): "must be from 1 ms to 3650 days; for a token that never expires, set non_expiring",
    ("", "DURATION_GTE_LTE"): "must be from 1 s to 24 h",
    ("", "REQUIRED"): "must be set",
    ("", "STRING_MIN_BYTES"): "must not be empty",
    ("", "STRING_MIN_LEN"): "must not be empty",
}
"""Descriptions with more than the standard text, by field and reason: a field's name with or
without its message's, or "" for any."""
