"""How long a delivery waits that flyte has not accepted."""

import random

from flyte_host.pipeline.delivery.retry_pauses import RetryPauses


class Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def test_pauses_grow_up_to_the_cap() -> None:
    pauses = RetryPauses(0.01, 0.04)
    made = [pauses.after(attempts, Highest()) for attempts in (1, 2, 3, 50)]
    assert made == [0.02, 0.04, 0.04, 0.04]
