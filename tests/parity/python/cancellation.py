"""When a cancellation lands, what it beats, and how it travels: O15 to O19."""

import asyncio

from ticks import cancelling, run_chosen, scenario, yields


@scenario
async def O15(t):
    fut = t.loop.create_future()

    async def body():
        try:
            await fut
        except asyncio.CancelledError:
            t.log("caught in task")
            raise
    task = asyncio.create_task(body())
    task.add_done_callback(lambda task: t.log(f"task done callback, cancelled {task.cancelled()}"))
    await asyncio.sleep(0)
    t.log(f"cancel() -> {task.cancel()}, fut cancelled {fut.cancelled()}, task done {task.done()}, "
          f"count {task.cancelling()}")
    try:
        await task
    except asyncio.CancelledError:
        t.log("parent sees cancellation")
    t.log(f"cancel again -> {task.cancel()}")


@scenario
async def O16(t):
    async def body():
        t.log("never")
    task = asyncio.create_task(body())
    task.cancel()
    await asyncio.wait([task])
    t.log(f"cancelled {task.cancelled()}")


@scenario
async def O17(t):
    async def body(fut):
        try:
            t.log(f"got {await fut}")
        except asyncio.CancelledError:
            t.log(f"CancelledError, fut result still {fut.result()!r}")
            raise
    for uncancel in (False, True):
        fut = t.loop.create_future()
        task = asyncio.create_task(body(fut))
        await asyncio.sleep(0)
        fut.set_result("R")
        task.cancel()
        if uncancel:
            t.log(f"uncancel -> {task.uncancel()}")
        await asyncio.wait([task])
        t.log(f"cancelled {task.cancelled()}")


@scenario
async def O18_a_b(t):
    done = t.loop.create_future()
    done.set_result(None)

    async def c1():
        asyncio.current_task().cancel()
        await done
        t.log("c1 got done")
        t.log("c1 returns")
        return 5

    async def c2():
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            t.log("c2 caught")
        await asyncio.sleep(0)
        t.log(f"c2 second await ok, count {cancelling()}")
        return 6
    t1, t2 = asyncio.create_task(c1()), asyncio.create_task(c2())
    await asyncio.wait([t1, t2])
    t.log(f"t1 cancelled {t1.cancelled()}, t2 result {t2.result()}")


@scenario
async def O18_c(t):
    async def body():
        try:
            await t.loop.create_future()
        except asyncio.CancelledError:
            t.log(f"caught once, count {cancelling()}")
        await asyncio.sleep(0)
        t.log("survived")
        return "ok"
    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    task.cancel()
    await asyncio.wait([task])
    t.log(f"result {task.result()}, count {task.cancelling()}")


@scenario
async def O18_d(t):
    async def body():
        try:
            await t.loop.create_future()
        except asyncio.CancelledError:
            t.log("1st")
            try:
                await t.loop.create_future()
            except asyncio.CancelledError:
                t.log("2nd interrupts cleanup")
                raise
    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    t.log(f"cancelled {task.cancelled()}, count {task.cancelling()}")


@scenario
async def O19(t):
    async def child(swallow):
        try:
            await t.loop.create_future()
        except asyncio.CancelledError:
            t.log("child caught")
            if not swallow:
                raise
            return "child-value"

    async def parent(swallow):
        try:
            value = await asyncio.create_task(child(swallow))
            t.log(f"parent got {value}; count {cancelling()}")
        except asyncio.CancelledError:
            t.log("parent cancelled")
            raise
    for swallow in (False, True):
        task = asyncio.create_task(parent(swallow))
        await yields(2)
        t.log("parent.cancel()")
        task.cancel()
        await asyncio.wait([task])


if __name__ == "__main__":
    run_chosen()
