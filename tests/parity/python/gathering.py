"""gather: O10 to O12."""

import asyncio

from ticks import run_chosen, scenario, yields


@scenario
async def O10(t):
    async def child(name, extra):
        t.log(f"{name} start")
        await yields(extra)
        t.log(f"{name} end")
        return name
    result = await asyncio.gather(child("a", 2), child("b", 0), child("c", 1))
    t.log(f"result {result}")


@scenario
async def O11(t):
    async def slow():
        await yields(3)
        t.log("sibling finished anyway")

    async def fail():
        t.log("f raises")
        raise ValueError
    sibling = asyncio.create_task(slow())
    try:
        await asyncio.gather(sibling, fail())
    except ValueError:
        t.log(f"gather raised; sibling done {sibling.done()}")
    await asyncio.sleep(0)


@scenario
async def O12(t):
    async def child(name, ticks):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            t.log(f"{name} cancelled")
            await yields(ticks)
            t.log(f"{name} cleanup done")
            raise

    async def parent(return_exceptions):
        try:
            await asyncio.gather(child("a", 0), child("b", 2), return_exceptions=return_exceptions)
        except asyncio.CancelledError:
            t.log("gather raised CancelledError")
            raise
    for return_exceptions in (False, True):
        task = asyncio.create_task(parent(return_exceptions))
        await yields(2)
        t.log("cancel")
        task.cancel()
        await asyncio.wait([task])
        await yields(3)


if __name__ == "__main__":
    run_chosen()
