"""Eager tasks: O37."""

import asyncio

from ticks import run_chosen, scenario


@scenario
async def O37_eager(t):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def finishes():
        t.log("E1")

    async def suspends():
        t.log("E2 start")
        await asyncio.sleep(0)
        t.log("E2 end")

    e1 = loop.create_task(finishes())
    t.log(f"E1 done {e1.done()}")
    e2 = loop.create_task(suspends())
    t.log(f"E2 done {e2.done()}")
    e1.add_done_callback(lambda _: t.log("E1's callback"))
    await e1
    t.log("await done task: no tick")
    await e2
    t.log("main")


@scenario
async def O37_eager_nested(t):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def inner():
        t.log("inner start")
        await asyncio.sleep(0)
        t.log("inner end")

    async def outer():
        t.log("outer start")
        task = asyncio.create_task(inner())
        t.log("outer again")
        await asyncio.sleep(0)
        t.log("outer end")
        await task

    loop.call_soon(t.log, "soon")
    await asyncio.create_task(outer())
    t.log("main")


@scenario
async def O37_eager_gather(t):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def at_once(name):
        t.log(name)
        return name

    async def later(name):
        t.log(f"{name} start")
        await asyncio.sleep(0)
        t.log(f"{name} end")
        return name

    t.log(await asyncio.gather(at_once("a"), at_once("b")))
    t.log(await asyncio.gather(at_once("c"), later("d")))


@scenario
async def O37_eager_group(t):
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def at_once():
        t.log("child")

    async def fails():
        t.log("fails")
        raise ValueError

    async with asyncio.TaskGroup() as tg:
        tg.create_task(at_once())
        tg.create_task(at_once())
    t.log("group")
    try:
        async with asyncio.TaskGroup() as tg:
            tg.create_task(fails())
            t.log("body goes on")
            await asyncio.sleep(1)
    except* ValueError:
        t.log("failed")
    t.log(f"cancelling {asyncio.current_task().cancelling()}")
    await asyncio.sleep(0)
    t.log("main")


if __name__ == "__main__":
    run_chosen()
