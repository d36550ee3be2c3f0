"""flyte's HTTP API as method calls.

``flyte_client`` knows which call goes where, ``conversation`` what an answer means, ``wire`` the
documents, ``flyte_address`` where links lead, ``transport`` HTTP, ``engine`` what carries it,
``failures`` the words for what goes wrong below it, ``token`` the token, ``outage`` when no call
makes sense, ``registrations`` what flyte knows of our packs.
"""

from flyte_host.client.direct_calls import Application
from flyte_host.client.flyte_client import TAKE_SECONDS, FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.registrations import Registrations
from flyte_host.client.token import Token

__all__ = ["TAKE_SECONDS", "Application", "FlyteClient", "Outage", "Registrations", "Token"]
