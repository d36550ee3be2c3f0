"""libcurl's errors as those that the usual adapter raises.

Owns which Python error is behind a code of libcurl, so that ``failures`` finds the same words for
both. Must not know what was asked. Texts of libcurl may hold a URL; nothing of it is kept.
"""

import errno
import os
import re
import ssl
from dataclasses import dataclass
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from socket import EAI_NONAME, gaierror
from urllib.parse import urlsplit

import pycurl
import requests
import urllib3

SSL_REASON = re.compile(r"error:[0-9A-Fa-f]+:[^:]*:[^:]*:([^,:]+)")
"""How OpenSSL writes its errors: ``error:0A00010B:SSL routines::wrong version number``."""

VERIFY_PROBLEM = re.compile(r"(?:certificate problem|verify result): (.+?)(?: \(\d+\))?$")
SOCKET_FAILURE = re.compile("(Recv|Send) failure: ")
URL = re.compile(r"(\w+://)\S+")

WEIRD_SERVER_REPLY = 8
TOO_LARGE = 100
"""Codes for which pycurl has no name."""

TLS_CODES = {
    pycurl.E_SSL_CONNECT_ERROR,
    pycurl.E_SSL_CERTPROBLEM,
    pycurl.E_SSL_CIPHER,
    pycurl.E_SSL_CACERT_BADFILE,
}
NOT_HTTP_CODES = {
    pycurl.E_UNSUPPORTED_PROTOCOL,  # HTTP/0.9
    WEIRD_SERVER_REPLY,
    pycurl.E_WRITE_ERROR,  # what our callback answers to too many headers
    TOO_LARGE,
}
LOST = {errno.ECONNRESET, errno.EPIPE}


@dataclass(frozen=True, slots=True)
class CurlFailure:
    """What libcurl said; ``was_sent`` is whether a request went out.

    ``number`` is the system's last errno, which may be that of an address that was tried first.
    """

    code: int
    text: str
    number: int
    was_sent: bool


NO_WHOLE_HEAD = CurlFailure(pycurl.E_PARTIAL_FILE, "", 0, was_sent=True)
TOO_LONG_HEAD = CurlFailure(pycurl.E_WRITE_ERROR, "", 0, was_sent=True)


def error_of(
    failure: CurlFailure, request: requests.PreparedRequest, response: requests.Response
) -> requests.RequestException:
    """requests' error, with the one below as its cause."""
    kind, cause = _kind_and_cause(failure, urlsplit(str(request.url)).hostname or "")
    error = kind(cause, request=request, response=response)
    error.__cause__ = cause
    return error


def _kind_and_cause(
    failure: CurlFailure, host: str
) -> tuple[type[requests.RequestException], Exception]:
    code = failure.code
    if code == pycurl.E_OPERATION_TIMEDOUT:
        if failure.was_sent:
            return requests.ReadTimeout, TimeoutError()
        return requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError()
    if cause := _tls_error(failure, host):
        return requests.exceptions.SSLError, cause
    is_of_socket = SOCKET_FAILURE.search(failure.text) or failure.number in LOST
    if code == pycurl.E_PARTIAL_FILE or (code == pycurl.E_RECV_ERROR and not is_of_socket):
        return requests.exceptions.ChunkedEncodingError, IncompleteRead(b"")
    return requests.ConnectionError, _connection_error(failure)


def _connection_error(failure: CurlFailure) -> Exception:
    code = failure.code
    if code == pycurl.E_COULDNT_RESOLVE_HOST:
        return _not_connected(gaierror(EAI_NONAME, "libcurl could not resolve it"))
    if code == pycurl.E_COULDNT_CONNECT:
        return _not_connected(_os_error(failure))
    if code in NOT_HTTP_CODES:
        return BadStatusLine("")
    if failure.number in LOST:
        return ConnectionResetError(failure.number, os.strerror(failure.number))
    if code == pycurl.E_GOT_NOTHING:
        return RemoteDisconnected("")
    return _os_error(failure)


def _not_connected(cause: OSError) -> Exception:
    # The pool that this error is about is for its text, which nobody reads.
    error = urllib3.exceptions.NewConnectionError(None, "")  # type: ignore[arg-type]
    error.__cause__ = cause
    return error


def _os_error(failure: CurlFailure) -> OSError:
    text = os.strerror(failure.number) if failure.number else _words(failure.text)
    return OSError(failure.number, text)


def _tls_error(failure: CurlFailure, host: str) -> ssl.SSLError | None:
    if failure.code == pycurl.E_PEER_FAILED_VERIFICATION:
        return _verification_error(failure.text, host)
    if reason := SSL_REASON.search(failure.text):
        return _ssl_error(reason[1].strip().upper().replace(" ", "_"))
    if failure.code in TLS_CODES and failure.number not in LOST:
        return _ssl_error(_words(failure.text))
    return None


def _verification_error(text: str, host: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, text)
    what = "IP address" if re.fullmatch(r"[0-9.]+|.*:.*", host) else "Hostname"
    mismatch = f"{what} mismatch, certificate is not valid for '{host}'."
    problem = VERIFY_PROBLEM.search(text)
    error.verify_message = problem[1] if problem else mismatch
    return error


def _ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def _words(text: str) -> str:
    return URL.sub(r"\1…", text) or "libcurl does not say why"
