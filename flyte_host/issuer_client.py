"""Documents of an OpenID Connect issuer over HTTP.

Owns timeouts, size limit and TLS of these requests, and short sentences for what goes wrong. Must
not know what the documents mean.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from socket import gaierror
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests
import urllib3

from flyte_host.clock import Clock
from flyte_host.errors import ConfigError
from flyte_host.json_decoding import decode_json
from flyte_host.text import escape_controls, reason

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
LARGEST_BODY_BYTES = 1_000_000
CHUNK_BYTES = 64 * 1024
LONGEST_SENTENCE = 200
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (gaierror, "the host name of {host} was not found"),
    (ConnectionRefusedError, "connection refused by {host}"),
    (ssl.SSLCertVerificationError, "certificate verify failed for {host}"),
    (ssl.SSLError, "TLS with {host} failed"),
    (urllib3.exceptions.ConnectTimeoutError, f"no connection to {{host}} in {CONNECT_SECONDS:g} s"),
    (TimeoutError, f"no whole answer from {{host}} in {READ_SECONDS:g} s"),
)
"""For the first kind among the causes of an error; libraries' own texts are hard to read."""


class IssuerClient:
    """One request per call; raises ConfigError for a ``ca_file`` that cannot be used."""

    def __init__(self, ca_file: Path | None, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        if ca_file is not None:
            _check_ca_file(ca_file)
        self._verify = True if ca_file is None else str(ca_file)

    def fetch(self, url: str) -> bytes:
        """The body of a 200; raises ValueError with the URL and what is wrong.

        No redirect, no proxy, no netrc and no cookie: keys come from exactly this address.
        """
        return self._ask("GET", url, "a document")

    def post(self, url: str, form: Mapping[str, str], user: str, password: str) -> bytes:
        """The same for a form, sent with Basic credentials; the error has what the issuer said."""
        credentials = (quote_plus(user), quote_plus(password))
        return self._ask("POST", url, "a token", data=form, auth=credentials)

    def _ask(self, method: str, url: str, expected: str, **options: Any) -> bytes:
        try:
            with _IssuerSession() as session:
                session.trust_env = False
                answer = session.request(
                    method,
                    url,
                    headers=HEADERS,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                    **options,
                )
                with closing(answer):
                    body = self._read_body(url, answer)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
            raise ValueError(f"found {url!r}, which is not a URL") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ValueError(f"{url}: {_describe(error, urlsplit(url).netloc)}") from None
        if answer.status_code != 200:
            said = _sentence_of(body) if method == "POST" else ""
            raise ValueError(
                f"{url}: found status {answer.status_code}{said}, expected 200 with {expected}"
            )
        return body

    def _read_body(self, url: str, answer: requests.Response) -> bytes:
        body = bytearray()
        give_up_at = self._monotonic() + READ_SECONDS
        raw: Any = answer.raw
        # read1 returns what has arrived: a server that drips cannot hold the request for long.
        while chunk := raw.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > LARGEST_BODY_BYTES:
                raise ValueError(f"{url}: found over {LARGEST_BODY_BYTES} bytes, expected fewer")
            if self._monotonic() > give_up_at:
                raise TimeoutError
        return bytes(body)


class _IssuerSession(requests.Session):
    """Takes a redirect as it is: requests would read its body, however long, for the next one."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is no next request."""


def _check_ca_file(path: Path) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        raise ConfigError([f"ca_file {path} cannot be used: {reason(error)}"]) from None


def _sentence_of(body: bytes) -> str:
    """What OAuth calls ``error`` and ``error_description``; empty if the body has neither."""
    try:
        said = decode_json(body, dict[str, Any])
    except ValueError:
        return ""
    words = [said[key] for key in ("error", "error_description") if said.get(key)]
    return f" ({escape_controls(': '.join(map(str, words)))[:LONGEST_SENTENCE]})" if words else ""


def _describe(error: Exception, host: str) -> str:
    causes = list(_causes(error))
    for kind, sentence in SENTENCES:
        if any(isinstance(cause, kind) for cause in causes):
            return sentence.format(host=host)
    return f"the exchange with {host} failed: {type(causes[-1]).__name__}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
