"""Slow bodies leave their room to those that wait; nobody else has to."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from flyte_host.body_room import WINDOW_BYTES, Body, BodyRoom, BodyTooSlow

ROOM = 100


async def never() -> Any:
    await asyncio.get_running_loop().create_future()


async def turns() -> None:
    """Enough turns of the loop for everything that may happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def arrive(room: BodyRoom, count: int, *, is_whole: bool = False) -> Body:
    body = Body()
    body.arrive(count)
    body.is_whole = is_whole
    await room.take(body)
    return body


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_client_that_pauses_leaves_when_another_waits() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        holders = [await arrive(room, ROOM), await arrive(room, ROOM)]
        reading = [asyncio.create_task(_leave_if_slow(room, body)) for body in holders]
        await turns()
        await arrive(room, ROOM)
        assert await asyncio.gather(*reading) == ["too slow"] * 2

    run(test())


async def _leave_if_slow(room: BodyRoom, body: Body) -> str:
    try:
        await room.read(never, body)
    except BodyTooSlow:
        return "too slow"
    finally:
        room.free(body)
    return "read"


def test_a_client_that_pauses_may_as_long_as_nobody_waits() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        reading = asyncio.create_task(room.read(never, await arrive(room, ROOM)))
        await arrive(room, 1000, is_whole=True)  # is beside it
        await turns()
        assert not reading.done()
        reading.cancel()

    run(test())


def test_a_client_is_slow_only_if_little_came_in_a_window() -> None:
    async def test() -> None:
        body = Body()
        assert not body.is_slow(0.5), "the window is not over"
        body.arrive(WINDOW_BYTES)
        assert not body.is_slow(1.0), "enough came; another window begins"
        assert not body.is_slow(1.5)
        assert body.is_slow(2.0)

    run(test())


def test_a_timeout_of_the_one_who_asks_is_not_a_slow_client() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await room.read(never, await arrive(room, 1))

    run(test())


def test_the_latest_of_those_that_wait_is_served_first_and_to_its_end() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        within, beside = await arrive(room, ROOM), await arrive(room, ROOM)
        first = asyncio.create_task(arrive(room, 60))
        await turns()
        last = asyncio.create_task(arrive(room, 60))
        await turns()
        room.free(beside)
        body = await last
        await turns()
        assert not first.done()
        body.arrive(1000)
        await room.take(body)  # it is beside the others now
        room.free(within)
        await first

    run(test())


def test_a_body_that_is_whole_does_not_wait_for_those_that_arrive() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        beside = await arrive(room, 1000)
        within = await arrive(room, ROOM)
        whole = asyncio.create_task(arrive(room, ROOM, is_whole=True))
        await turns()
        room.free(beside)
        assert (await whole).is_whole
        room.free(within)

    run(test())


def test_one_that_gives_up_waiting_leaves_nothing_behind() -> None:
    async def test() -> None:
        room = BodyRoom(ROOM)
        within, beside = await arrive(room, ROOM), await arrive(room, ROOM)
        body = Body()
        body.arrive(ROOM)
        waiting = asyncio.create_task(room.take(body))
        await turns()
        waiting.cancel()
        await turns()
        room.free(body)
        for each in (within, beside):
            room.free(each)
        for _ in range(2):
            await arrive(room, ROOM)

    run(test())
