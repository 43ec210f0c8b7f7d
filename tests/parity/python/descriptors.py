"""Descriptors: readers and writers in the one FIFO: O05, O36 and O38."""

import asyncio
import socket
import threading

from ticks import run_chosen, scenario, yields


class Pair:
    """Two connected sockets; all that is registered with the first is removed at the end."""

    def __init__(self, loop):
        self.loop = loop
        self.a, self.b = socket.socketpair()
        self.a.setblocking(False)

    def __enter__(self):
        return self.a, self.b

    def __exit__(self, *_):
        self.loop.remove_reader(self.a)
        self.loop.remove_writer(self.a)
        self.a.close()
        self.b.close()


@scenario
async def O05(t):
    with Pair(t.loop) as (a, b):
        await asyncio.sleep(0)
        t.loop.call_at(t.loop.time() - 1, t.log, "timer")
        t.loop.call_soon(t.log, "soon")
        t.loop.add_reader(a, lambda: (t.log("io"), t.loop.remove_reader(a)))
        b.send(b"x")
        await asyncio.sleep(0)
        t.log("main")
        await yields(2)


@scenario
async def O05_both_directions(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_writer(a, lambda: (t.log("writer"), t.loop.remove_writer(a)))
        t.loop.add_reader(a, lambda: (t.log("reader"), t.loop.remove_reader(a)))
        b.send(b"x")
        await asyncio.sleep(0)
        t.log("main")
        await yields(2)


@scenario
async def O05_several(t):
    pairs = [Pair(t.loop) for _ in range(3)]
    for i, pair in enumerate(pairs):
        t.loop.add_reader(pair.a, t.log, f"io {i}")
    for i in (2, 0, 1):
        pairs[i].b.send(b"x")
    await asyncio.sleep(0)
    t.log("main")
    await asyncio.sleep(0)
    for pair in pairs:
        pair.__exit__()


@scenario
async def O36_beside_a_descriptor(t):
    with Pair(t.loop) as (a, b):
        def thread():
            b.send(b"x")
            for i in range(2):
                t.loop.call_soon_threadsafe(t.log, f"thr {i}")
        t.loop.add_reader(a, lambda: (t.log("io"), t.loop.remove_reader(a)))
        t.loop.call_at(t.loop.time() - 1, t.log, "timer")
        t.loop.call_soon(t.log, "before")
        other = threading.Thread(target=thread)
        other.start()
        other.join()
        t.loop.call_soon(t.log, "after")
        await asyncio.sleep(0)
        t.log("main")
        await yields(2)


@scenario
async def O36_main_only_yields_beside_a_descriptor(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_reader(a, lambda: (t.log("io"), t.loop.remove_reader(a)))
        t.loop.call_at(t.loop.time() - 1, t.log, "timer")
        t.loop.call_soon(t.log, "soon")
        b.send(b"x")
        other = threading.Thread(target=lambda: t.loop.call_soon_threadsafe(t.log, "thr"))
        other.start()
        other.join()
        await asyncio.sleep(0)
        t.log("main")
        await yields(2)


@scenario
async def O36_threads_from_callbacks(t):
    with Pair(t.loop) as (a, b):
        def calls():
            t.log("io")
            t.loop.remove_reader(a)
            other = threading.Thread(target=lambda: t.loop.call_soon_threadsafe(t.log, "thr"))
            other.start()
            other.join()
            t.loop.call_soon(t.log, "after")
        t.loop.add_reader(a, calls)
        b.send(b"x")
        await asyncio.sleep(0)
        t.log("main")
        await yields(3)


@scenario
async def O38_unread(t):
    with Pair(t.loop) as (a, b):
        calls = []
        t.loop.add_reader(a, lambda: (t.log("readable"), calls.append(0)))
        b.send(b"x")
        await yields(4)
        t.loop.remove_reader(a)
        await asyncio.sleep(0)
        t.log(f"calls {len(calls)}")


@scenario
async def O38_read(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_reader(a, lambda: t.log(f"got {a.recv(10).decode()}"))
        b.send(b"x")
        await yields(3)
        b.send(b"yz")
        t.log("more")
        await yields(3)
        b.close()
        t.log("end")
        await yields(3)


@scenario
async def O38_removed_in_the_batch(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_reader(a, t.log, "readable")
        b.send(b"x")
        await asyncio.sleep(0)
        t.log(f"removed {t.loop.remove_reader(a)}")
        t.log(f"removed {t.loop.remove_reader(a)}")
        await yields(2)
        t.log("main")


@scenario
async def O38_reader_removes_writer(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_writer(a, t.log, "writer")
        t.loop.add_reader(a, lambda: (t.log("reader"), t.loop.remove_writer(a)))
        b.send(b"x")
        await yields(2)
        t.loop.remove_reader(a)
        t.log("main")
        await asyncio.sleep(0)


@scenario
async def O38_replaced_in_the_batch(t):
    with Pair(t.loop) as (a, b):
        t.loop.add_reader(a, t.log, "old")
        b.send(b"x")
        await asyncio.sleep(0)
        t.loop.add_reader(a, t.log, "new")
        t.log("main replaces")
        await yields(2)
        t.log("main")


@scenario
async def O38_replaces_itself(t):
    with Pair(t.loop) as (a, b):
        def old():
            t.log("old")
            t.loop.add_reader(a, t.log, "new")
            t.log("old ends")
        t.loop.add_reader(a, old)
        b.send(b"x")
        await yields(3)
        t.log("main")


@scenario
async def O38_adds_another(t):
    with Pair(t.loop) as (a, b), Pair(t.loop) as (c, d):
        d.send(b"x")

        def first():
            t.log("first")
            t.loop.remove_reader(a)
            t.loop.add_reader(c, t.log, "second")
        t.loop.add_reader(a, first)
        b.send(b"x")
        await yields(3)
        t.log("main")


@scenario
async def O38_raising_reader(t):
    with Pair(t.loop) as (a, b):
        def bad():
            t.log("bad")
            raise ValueError
        t.loop.set_exception_handler(
            lambda _, context: t.log(f"handler {type(context['exception']).__name__}"))
        t.loop.add_reader(a, bad)
        b.send(b"x")
        await yields(3)
        t.log("main")


@scenario
async def O38_reader_sets_a_future(t):
    with Pair(t.loop) as (a, b):
        fut = t.loop.create_future()

        async def waiter():
            await fut
            t.log("waiter")
        task = asyncio.create_task(waiter())
        t.loop.add_reader(a, lambda: (t.log("io"), a.recv(1), fut.set_result(None)))
        await asyncio.sleep(0)
        t.log("main sends")
        b.send(b"x")
        await task
        t.log("main")


@scenario
async def O38_sock_recv(t):
    with Pair(t.loop) as (a, b):
        async def reader():
            data = await t.loop.sock_recv(a, 10)
            t.log(f"got {data.decode()}")
        task = asyncio.create_task(reader())
        await asyncio.sleep(0)
        t.log("main sends")
        b.send(b"x")
        t.loop.call_soon(t.log, "soon")
        await task
        t.log("main")


@scenario
async def O38_sock_recv_cancelled(t):
    with Pair(t.loop) as (a, _):
        async def reader():
            try:
                await t.loop.sock_recv(a, 10)
            except asyncio.CancelledError:
                t.log("cancelled")
                raise
        task = asyncio.create_task(reader())
        await asyncio.sleep(0)
        t.log("main cancels")
        task.cancel()
        await asyncio.wait([task])
        t.log(f"main {task.cancelled()}")


if __name__ == "__main__":
    run_chosen()
