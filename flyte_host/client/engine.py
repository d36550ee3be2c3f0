"""What carries the requests: libcurl if pycurl is installed, else urllib3.

Owns the choice and its name. Must not know what is asked.
"""

import logging
import select
from collections.abc import Callable
from dataclasses import dataclass

from requests.adapters import BaseAdapter

from flyte_host.client.adapter import Adapter
from flyte_host.client.network import Network
from flyte_host.metadata import version

log = logging.getLogger(__name__)

CONNECTIONS_KEPT = 32
LOOKS_UP_ASIDE = 1 << 7
"""libcurl's CURL_VERSION_ASYNCHDNS."""


@dataclass(frozen=True)
class Engine:
    """``name`` says what it is; both functions get the largest body that is of use.

    ``make_network`` is None if each request needs a thread.
    """

    name: str
    make_adapter: Callable[[int], BaseAdapter]
    make_network: Callable[[int], Network] | None = None


def _urllib3_adapter(_: int) -> BaseAdapter:
    return Adapter(pool_maxsize=CONNECTIONS_KEPT, max_retries=0)


URLLIB3 = Engine(f"urllib3 {version('urllib3')}", _urllib3_adapter)


def find_engine() -> Engine:
    """The fastest that is installed."""
    try:
        return _libcurl()
    except ModuleNotFoundError:
        return URLLIB3
    except ImportError as error:  # too old, or built for another libcurl than the one here
        log.warning("libcurl is not used, since pycurl cannot be imported: %s", error)
        return URLLIB3


def _libcurl() -> Engine:
    """Raises ImportError if it cannot be used."""
    import pycurl  # noqa: PLC0415 - an extra

    from flyte_host.client.curl_adapter import CurlAdapter  # noqa: PLC0415 - needs the extra

    def make_adapter(largest_bytes: int) -> BaseAdapter:
        return CurlAdapter(largest_bytes=largest_bytes, handles_kept=CONNECTIONS_KEPT)

    name = f"libcurl {pycurl.version_info()[1]}"
    if not _can_drive(pycurl.version_info()[4]):
        return Engine(name, make_adapter)

    from flyte_host.client.curl_network import CurlNetwork  # noqa: PLC0415 - needs the extra

    def make_network(largest_bytes: int) -> Network:
        return CurlNetwork(largest_bytes=largest_bytes, connections_kept=CONNECTIONS_KEPT)

    return Engine(name, make_adapter, make_network)


def _can_drive(features: int) -> bool:
    """Whether no call blocks: that takes epoll (Linux only), and name lookups in another thread."""
    return hasattr(select, "epoll") and bool(features & LOOKS_UP_ASIDE)
