"""Flyte's HTTP API as method calls.

``calls`` knows which call goes where and what its answer means, ``counting`` how often each was
made, ``wire`` the documents,
``transport`` HTTP (nothing else knows requests), ``outage`` when no call makes sense.
"""

from flyte_host.client.counting import CountingClient
from flyte_host.client.flyte_client import TAKE_SECONDS, FlyteClient, Token

__all__ = ["TAKE_SECONDS", "CountingClient", "FlyteClient", "Token"]
