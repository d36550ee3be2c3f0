"""How soon a process that died may start again."""

from flyte_host.isolation.restart_budget import RestartBudget


def test_pauses_double_until_there_were_too_many_deaths() -> None:
    budget = RestartBudget()
    assert [budget.spend(100) for _ in range(6)] == [
        (1, False), (2, False), (4, False), (8, False), (16, False), (600, True)
    ]  # fmt: skip


def test_a_quarantine_ends_when_the_window_has_room_for_one_more() -> None:
    budget = RestartBudget()
    for now in (0, 100, 200, 300, 400):
        budget.spend(now)
    assert budget.spend(500) == (200, True)
    assert budget.spend(700) == (16, False)


def test_deaths_of_long_ago_do_not_count() -> None:
    budget = RestartBudget()
    for now in (0, 1, 2, 3, 4):
        budget.spend(now)
    assert budget.spend(604) == (1, False)


def test_a_pause_has_a_longest() -> None:
    budget = RestartBudget(first_seconds=40)
    assert [budget.spend(0)[0] for _ in range(3)] == [40, 60, 60]
