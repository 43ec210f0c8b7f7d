"""One FIFO for tasks and callbacks: O01 to O04, O13, O14, O38."""

import asyncio

from ticks import run_chosen, scenario, yields


@scenario
async def O01(t):
    async def task(name):
        t.log(name)
    t.log("main-before")
    t.loop.call_soon(t.log, "soonA")
    t1 = asyncio.create_task(task("task1"))
    t.loop.call_soon(t.log, "soonB")
    t2 = asyncio.create_task(task("task2"))
    await asyncio.sleep(0)
    t.log("main-after")
    await asyncio.gather(t1, t2)


@scenario
async def O02(t):
    def f():
        t.log("f")
        t.loop.call_soon(t.log, "g")
        t.log("f-end")
    t.loop.call_soon(f)
    t.loop.call_soon(t.log, "h")
    await asyncio.sleep(0)
    t.log("main1")
    await asyncio.sleep(0)
    t.log("main2")


@scenario
async def O03(t):
    for count in (3, 4, 6, 8):
        order = []
        when = t.loop.time() - 1
        for i in range(count):
            t.loop.call_at(when, order.append, i)
        await yields(2)
        t.note(f"n={count} {order}")


@scenario
async def O04(t):
    t.loop.call_later(0, t.log, "later0")
    t.loop.call_later(-1, t.log, "later-1")
    t.loop.call_later(-2, t.log, "later-2")
    t.loop.call_soon(t.log, "soon")
    await asyncio.sleep(0)
    t.log("main")
    await asyncio.sleep(0)


@scenario
async def O13(t):
    async def body(name):
        for i in range(3):
            t.log(f"{name}{i}")
            await asyncio.sleep(0)
    await asyncio.gather(body("A"), body("B"))


@scenario
async def O14(t):
    async def leaf(name):
        t.log(name)

    async def body(name):
        t.log(name)
        children = [asyncio.create_task(leaf(f"{name}.{c}")) for c in "xy"]
        await asyncio.sleep(0)
        t.log(f"{name} end")
        del children
    await asyncio.gather(body("A"), body("B"))
    t.log("main")


@scenario
async def O38_cancelled_handle(t):
    handles = []
    t.loop.call_soon(lambda: (t.log("x"), handles[0].cancel()))
    handles.append(t.loop.call_soon(t.log, "cancelled callback"))
    t.loop.call_soon(t.log, "later callback")
    await asyncio.sleep(0)
    t.log("main")


@scenario
async def O38_raising_callback(t):
    def bad():
        t.log("bad")
        raise ValueError
    t.loop.set_exception_handler(lambda _, context: t.log(f"handler {type(context['exception']).__name__}"))
    t.loop.call_soon(bad)
    t.loop.call_soon(t.log, "next")
    await asyncio.sleep(0)
    t.log("main alive")


@scenario
async def O38_set_inside_the_batch(t):
    fut = t.loop.create_future()

    async def waiter():
        await fut
        t.log("waiter")
    task = asyncio.create_task(waiter())
    await asyncio.sleep(0)
    t.loop.call_soon(lambda: (t.log("set"), fut.set_result(None)))
    t.loop.call_soon(t.log, "after-in-same-batch")
    await task


if __name__ == "__main__":
    run_chosen()
