"""Queues: O22, O23, O37."""

import asyncio

from ticks import run_chosen, scenario


@scenario
async def O22(t):
    queue = asyncio.Queue()

    async def consumer(name):
        t.log(f"{name} waits")
        t.log(f"{name} got {await queue.get()}")
    tasks = [asyncio.create_task(consumer(name)) for name in ("c1", "c2")]
    await asyncio.sleep(0)
    queue.put_nowait("x")
    t.log(f"thief got {queue.get_nowait()}")
    await asyncio.sleep(0)
    queue.put_nowait("y")
    queue.put_nowait("z")
    await asyncio.wait(tasks)


@scenario
async def O22_cancelled_getter(t):
    queue = asyncio.Queue()

    async def consumer(name):
        try:
            t.log(f"{name} got {await queue.get()}")
        except asyncio.CancelledError:
            t.log(f"{name} cancelled; qsize {queue.qsize()}")
            raise
    a, b = asyncio.create_task(consumer("a")), asyncio.create_task(consumer("b"))
    await asyncio.sleep(0)
    queue.put_nowait("x")
    a.cancel()
    await asyncio.wait([a, b])


@scenario
async def O23(t):
    queue = asyncio.Queue(1)

    async def producer():
        for i in range(4):
            await queue.put(i)
            t.log(f"put {i}")

    async def consumer():
        for _ in range(4):
            t.log(f"got {await queue.get()}")
            queue.task_done()

    async def joiner():
        await asyncio.sleep(0)
        await queue.join()
        t.log("joined")
    await asyncio.gather(producer(), consumer(), joiner())


@scenario
async def O37_shutdown(t):
    queue = asyncio.Queue(1)
    queue.put_nowait("i0")

    async def putter(item):
        try:
            await queue.put(item)
        except asyncio.QueueShutDown:
            t.log(f"put {item} ShutDown")

    async def joiner():
        await queue.join()
        t.log("joined")

    async def getter():
        t.log(f"g got {await queue.get()}")
        queue.task_done()
        try:
            await queue.get()
        except asyncio.QueueShutDown:
            t.log("g ShutDown")
    tasks = [asyncio.create_task(c) for c in (putter("i1"), putter("i2"), joiner())]
    await asyncio.sleep(0)
    queue.shutdown()
    t.log("shutdown()")
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(getter()))
    await asyncio.wait(tasks)


if __name__ == "__main__":
    run_chosen()
