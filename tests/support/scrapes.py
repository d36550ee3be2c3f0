"""What ``/metrics`` answers, read by Prometheus' own parser."""

from collections.abc import Iterable
from typing import Any

import requests
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from flyte_host.testing.waiting import PATIENCE_SECONDS

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """One page; ``scrape("slots", pack="demo")`` is a number, the names without ``flyte_host_``."""

    def __init__(self, families: Iterable[Any]) -> None:
        self.families = {each.name.removeprefix("flyte_host_"): each for each in families}
        samples = [each for family in self.families.values() for each in family.samples]
        self._values = {_key(each.name, each.labels): each.value for each in samples}
        assert len(self._values) == len(samples), "a series is there twice"

    def __call__(self, name: str, **labels: str) -> float:
        value: float = self._values[_key(f"flyte_host_{name}", labels)]
        return value

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """Its samples that are not 0, by the values of its labels in the order of their names."""
        return {
            tuple(value for _, value in labels): number
            for (each, labels), number in self._values.items()
            if each == f"flyte_host_{name}" and number
        }

    def has(self, name: str, **labels: str) -> bool:
        return _key(f"flyte_host_{name}", labels) in self._values


def _key(name: str, labels: dict[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def read_page(content_type: str, text: str) -> Scrape:
    if content_type.startswith("application/openmetrics-text"):
        families = openmetrics_families(text)  # type: ignore[no-untyped-call]
        return Scrape(families)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(text_string_to_metric_families(text))


def scrape(url: str, accept: str = "") -> Scrape:
    answer = requests.get(f"{url}/metrics", headers={"Accept": accept}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200, answer.text
    return read_page(answer.headers["Content-Type"], answer.text)
