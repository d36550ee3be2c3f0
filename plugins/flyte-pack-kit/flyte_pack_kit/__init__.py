"""What packs of flyte-host share: REST calls, a server's words, settings, input by Go's rules."""

from flyte_pack_kit.go_json import Decoded, decode, match_keys, parse_json
from flyte_pack_kit.json_values import number_at, object_at, text_at
from flyte_pack_kit.rest_client import NoAnswer, RestAnswer, RestClient, RestTarget
from flyte_pack_kit.rest_health import HEALTH_LIMIT_SECONDS, health_of
from flyte_pack_kit.server_words import ServerWords
from flyte_pack_kit.settings_rules import (
    check_both_or_none,
    check_more_than_zero,
    check_url,
    check_zero_or_more,
    complete,
    read_address,
    read_variable,
)
from flyte_pack_kit.time_limit import TimeLimit
from flyte_pack_kit.timed_answer import TimedAnswer
from flyte_pack_kit.tls_context import make_tls_context

__all__ = [
    "HEALTH_LIMIT_SECONDS",
    "Decoded",
    "NoAnswer",
    "RestAnswer",
    "RestClient",
    "RestTarget",
    "ServerWords",
    "TimeLimit",
    "TimedAnswer",
    "check_both_or_none",
    "check_more_than_zero",
    "check_url",
    "check_zero_or_more",
    "complete",
    "decode",
    "health_of",
    "make_tls_context",
    "match_keys",
    "number_at",
    "object_at",
    "parse_json",
    "read_address",
    "read_variable",
    "text_at",
]
