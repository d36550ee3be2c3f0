"""Senders of webhooks for tests: how they sign, and raw requests for what no library sends."""

import base64
import hashlib
import hmac
import json
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from flyte_host.testing.waiting import PATIENCE_SECONDS

SECRET = "It's a Secret to Everybody"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOKS: dict[str, dict[str, Any]] = {
    "github": {"path": "/github", "kind": "github", "secret": SECRET},
    "gitlab": {"path": "/gitlab", "kind": "gitlab", "secret": SECRET},
    "jira": {"path": "/jira", "kind": "jira", "secret": SECRET},
    "slack": {"path": "/slack", "kind": "slack", "secret": SECRET},
    "alerts": {"path": "/alerts", "kind": "alertmanager", "secret": SECRET},
    "standard": {"path": "/standard", "kind": "standard", "secret": KEY},
    "builds": {
        "path": "/builds",
        "kind": "hmac",
        "secret": SECRET,
        "header": "X-Build-Signature",
        "algorithm": "sha512",
        "encoding": "base64",
        "event": "BuildDone",
    },
    "plain": {
        "path": "/plain",
        "kind": "token",
        "secret": SECRET,
        "header": "X-Token",
        "prefix": "key ",
    },
    "open": {"path": "/open", "kind": "open"},
}


def mac(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def github(body: bytes, event: str = "issues", secret: str = SECRET) -> dict[str, str]:
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={mac(body, secret)}",
        "Content-Type": "application/json",
    }


def slack(body: bytes, moment: float | None = None, secret: str = SECRET) -> dict[str, str]:
    at = f"{int(time.time() if moment is None else moment)}"
    signature = mac(f"v0:{at}:".encode() + body, secret)
    return {
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": f"v0={signature}",
        "Content-Type": "application/json",
    }


def standard(body: bytes, message_id: str, moment: float | None = None) -> dict[str, str]:
    at = f"{int(time.time() if moment is None else moment)}"
    key = base64.b64decode(KEY.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1a,other v1,{base64.b64encode(digest).decode()}",
        "Content-Type": "application/json",
    }


def signed_headers(kind: str, body: bytes) -> dict[str, str]:
    """What a sender of this kind sends along."""
    plain = {"Content-Type": "application/json"}
    digest = hmac.digest(SECRET.encode(), body, hashlib.sha512)
    found: dict[str, dict[str, str]] = {
        "github": github(body),
        "gitlab": plain | {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Issue Hook"},
        "jira": plain | {"X-Hub-Signature": f"sha256={mac(body)}"},
        "slack": slack(body),
        "alerts": plain | {"Authorization": f"Bearer {SECRET}"},
        "standard": standard(body, "msg_1"),
        "builds": plain | {"X-Build-Signature": base64.b64encode(digest).decode()},
        "plain": plain | {"X-Token": f"key {SECRET}"},
        "open": plain,
    }
    return found[kind]


def document(number: int) -> bytes:
    return json.dumps({"action": "opened", "issue": {"number": number}}).encode()


def post_bytes(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A request as bytes; a header whose name ends with ``+`` may be there twice."""
    lines = [f"{name.rstrip('+')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""])
    return head.encode("latin-1") + body


def exchange(url: str, content: bytes) -> bytes:
    """Send bytes as they are; what comes back until the other side closes."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), PATIENCE_SECONDS) as sent:
        received = b""
        with suppress(ConnectionError):  # it need not read all before it closes
            sent.sendall(content)
            while chunk := sent.recv(65536):
                received += chunk
    return received
