"""A load balancer for TCP: each connection goes to the next server that accepts it."""

import asyncio
import itertools
import threading
from collections.abc import Sequence
from contextlib import suppress


class Balancer:
    """Listens on a free port of the loopback, from :meth:`start` to :meth:`stop`."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._number = len(ports)
        self._loop = asyncio.new_event_loop()
        self._ending: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        """Each connection closes itself: one that is cancelled would leave its sockets open."""
        self._loop.remove_reader(self._server.sockets[0].fileno())
        self._ending.set_result(None)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await self._connect()
            await asyncio.wait(
                [
                    asyncio.create_task(_copy(reader, back)),
                    asyncio.create_task(_copy(there, writer)),
                    self._ending,
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            back.transport.abort()
        writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(self._number):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", next(self._ports))
        raise ConnectionRefusedError


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
