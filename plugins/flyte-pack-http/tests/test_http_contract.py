"""That the pack keeps the contract of packs, with an example for each event of its command."""

from flyte_pack_http import HttpPack

from flyte_host.testing import Example, check_contract

from .conftest import LOOPBACK
from .web_service import WebService
from .webhook_sender import HOOKS


def test_it_keeps_the_contract_of_packs(service: WebService) -> None:
    settings = {"listen": "127.0.0.1:0", "allowed_networks": LOOPBACK, "webhooks": HOOKS}
    examples = [
        Example("Request", {"url": f"{service.url}/echo"}, "Response"),
        Example("Request", {"url": f"{service.url}/status/500"}, "RequestFailed"),
    ]
    check_contract(HttpPack, settings, examples=examples)
