"""Who is told when a future or a task is done, and what an await costs: O06 to O09."""

import asyncio

from ticks import run_chosen, scenario, yields


@scenario
async def O06(t):
    fut = t.loop.create_future()

    async def waiter(name):
        await fut
        t.log(name)
    w1 = asyncio.create_task(waiter("w1"))
    await asyncio.sleep(0)
    fut.add_done_callback(lambda _: t.log("cb"))
    w2 = asyncio.create_task(waiter("w2"))
    await asyncio.sleep(0)
    fut.set_result(None)
    t.log("setter-continues")
    t.loop.call_soon(t.log, "soon")
    await asyncio.sleep(0)
    t.log("main")
    await asyncio.gather(w1, w2)


@scenario
async def O07(t):
    fut = t.loop.create_future()

    def c1(_):
        t.log("c1")

    def c2(_):
        t.log("c2")
    fut.add_done_callback(c1)
    fut.add_done_callback(c2)
    fut.add_done_callback(c1)
    t.log(f"removed {fut.remove_done_callback(c1)}")
    fut.add_done_callback(c1)
    fut.set_result(None)
    t.log("sync-done")
    fut.add_done_callback(lambda _: t.log("late"))
    await asyncio.sleep(0)
    t.log("main")


async def observed(t, callback_first):
    async def body():
        await yields(2)
        t.log("c ends")

    async def parent(name):
        await c
        t.log(name)

    def register(name):
        c.add_done_callback(lambda _: t.log(name))
    c = asyncio.create_task(body())
    if callback_first:
        register("cb1")
    p1 = asyncio.create_task(parent("p1"))
    await asyncio.sleep(0)
    register("cb2" if callback_first else "cb1")
    p2 = asyncio.create_task(parent("p2"))
    await asyncio.gather(p1, p2)


@scenario
async def O08(t):
    await observed(t, True)


@scenario
async def O08_task_first(t):
    await observed(t, False)


@scenario
async def O09(t):
    async def body(name):
        t.log(name)
    t.log("a")
    await body("direct")
    t.log("b")
    await asyncio.create_task(body("task"))
    t.log("c")
    await asyncio.gather(body("g1"), body("g2"))
    t.log("d")
    await asyncio.wait_for(body("wf"), 1)
    t.log("e")
    await asyncio.wait([asyncio.create_task(body("w"))])
    t.log("f")
    await asyncio.shield(asyncio.create_task(body("sh")))
    t.log("g")
    done = t.loop.create_future()
    done.set_result(None)
    await done
    t.log("h-donefuture")


if __name__ == "__main__":
    run_chosen()
