"""Where flyte is, and where its links lead.

Owns which URLs are flyte's own, how they are written, and what of one is safe to show. Must not
know what is sent there.
"""

import re
from base64 import b64encode
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from requests import PreparedRequest

from flyte_host.errors import ConfigError

PLAIN_PATH = re.compile(r"[A-Za-z0-9_~-]+(?:[./][A-Za-z0-9_~-]+)*")
"""A path that is sent as it is: nothing to escape, no empty part and none of dots alone."""
EXPECTED_URL = "expected http(s)://host[:port][/path]"
DEFAULT_PORTS = {"http": 80, "https": 443}


class FlyteAddress:
    """flyte's URL; raises ConfigError for one that cannot be used.

    ``base`` is the URL as it is written in requests, without user-info, query and closing slash,
    and ``origin`` that of it. ``basic`` are the credentials of its user-info, if it has some.
    """

    def __init__(self, url: str) -> None:
        self.base, self.basic = _entry(url)
        self.origin = origin(self.base)
        self._below = f"{self.base}/"
        self._own_origins = {self.origin}

    def add_own(self, url: str) -> None:
        """Count the origin of ``url`` as flyte's as well. No credentials are sent there."""
        self._own_origins.add(origin(url))

    def is_own(self, url: str) -> bool:
        """Whether ``url`` leads to flyte, by any address that flyte is known by."""
        return url.startswith(self._below) or origin(url) in self._own_origins

    def absolute(self, href: str) -> str:
        """``href`` with the path prefix of ``url``, of which a flyte behind a proxy cannot know.

        Raises ValueError for what is not a URL.
        """
        if href.startswith("v1/") and PLAIN_PATH.fullmatch(href):  # from :meth:`relative`
            return self._below + href
        if self._is_plain(href):
            return href
        url = urljoin(self._below, href)
        prefix = urlsplit(self.base).path
        parts = urlsplit(url)
        if origin(url) != self.origin or parts.path.startswith(f"{prefix}/"):
            return url
        return parts._replace(path=prefix + parts.path).geturl()

    def relative(self, url: str) -> str:
        """An absolute ``url`` of flyte's own as a path below its base; another one as it is.

        :meth:`absolute` is the way back, even after flyte has moved to another address.
        """
        if url.startswith(f"{self._below}v1/") and self._is_plain(url):
            return url[len(self._below) :]
        prefix = f"{urlsplit(self.base).path}/"
        parts = urlsplit(url)
        below = parts.path.removeprefix(prefix)
        if origin(url) != self.origin or not below.startswith("v1/"):
            return url
        return urlunsplit(("", "", below, parts.query, ""))

    def is_below(self, url: str) -> bool:
        """Whether ``url`` begins with ``base``: most do, and so have the same origin."""
        return url.startswith(self._below)

    def written(self, url: str) -> str:
        """``url`` as it is sent; raises ValueError for what is not a URL."""
        return url if self._is_plain(url) else _quote(url)

    def _is_plain(self, url: str) -> bool:
        """Whether it is flyte's own, and is sent as it is: so are nearly all, which saves time."""
        return url.startswith(self._below) and bool(PLAIN_PATH.fullmatch(url, len(self._below)))


def origin(url: str) -> str:
    """``scheme://host:port`` with the port always there; ValueError for what is not an HTTP URL."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(EXPECTED_URL)
    host = parts.hostname.encode("idna").decode()
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def safe_url(url: str) -> str:
    """``url`` without user-info and query, for people; any text will do."""
    return ascii(re.sub(r"(?s)//.*@", "//", url).partition("?")[0])[1:-1]


def _quote(url: str) -> str:
    """``url`` as it is sent; raises ValueError for what is not a URL."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    return str(request.url)


def _entry(url: str) -> tuple[str, str | None]:
    """``url`` as requests writes it, without user-info, query and closing slash; credentials."""
    try:
        parts = urlsplit(url)
        userinfo, _, place = parts.netloc.rpartition("@")
        bare = parts._replace(netloc=place, path=parts.path.rstrip("/"), query="", fragment="")
        origin(bare.geturl())
        base = _quote(bare.geturl()).rstrip("/")
    except ValueError:  # its text may hold the user-info
        found = f"flyte's URL cannot be used: found '{safe_url(url)}'"
        raise ConfigError([f"{found}, {EXPECTED_URL}"]) from None
    user, _, password = userinfo.partition(":")
    credentials = b64encode(unquote(f"{user}:").encode() + unquote(password).encode()).decode()
    return base, f"Basic {credentials}" if userinfo else None
