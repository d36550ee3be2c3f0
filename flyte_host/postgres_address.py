"""The URL of a PostgreSQL store: what it may say, and how it is shown.

Hides passwords in URLs, and owns the connection settings that a URL leaves open.
Must not know SQL.
"""

from urllib.parse import parse_qsl, quote, unquote, urlsplit

SCHEMES = ("postgresql://", "postgres://")
DEFAULTS = {
    # A standby that only reads is passed over: with several hosts in the URL, the next is tried.
    "target_session_attrs": "read-write",
    "connect_timeout": "5",
    "application_name": "flyte-host",
    # The other machine may vanish without closing its connections.
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_SECRETS = ("password", "sslpassword")


def is_postgres(store: object) -> bool:
    """Whether ``store`` is such a URL, not a path."""
    return isinstance(store, str) and store.startswith(SCHEMES)


def has_password(url: str) -> bool:
    """Whether the URL itself contains a secret."""
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    return ":" in userinfo or any(key in _SECRETS for key, _ in parse_qsl(parts.query))


def shown_url(url: str) -> str:
    """The URL for people: where and which database, and nothing secret."""
    parts = urlsplit(url)
    userinfo, at, place = parts.netloc.rpartition("@")
    user = quote(unquote(userinfo.partition(":")[0]))
    return f"postgresql://{user}{at}{place}{parts.path}"
