"""wait, as_completed and shield: O30 and O34."""

import asyncio

from ticks import run_chosen, scenario, yields


@scenario
async def O30_wait(t):
    async def body(name):
        await asyncio.sleep(0)
        t.log(name)

    async def slow():
        await yields(9)
    tasks = {name: asyncio.create_task(body(name)) for name in "abc"}
    tasks["slow"] = asyncio.create_task(slow())
    done, pending = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)

    def names(part):
        return [name for name, task in tasks.items() if task in part]
    t.log(f"done {names(done)} pending {names(pending)}")
    await asyncio.wait(pending)


@scenario
async def O30_as_completed(t):
    async def body(name, ticks):
        await yields(ticks)
        t.log(f"{name} end")
        return name
    tasks = [asyncio.create_task(body(*args)) for args in [("a", 3), ("b", 1), ("d", 1)]]
    async for task in asyncio.as_completed(tasks):
        t.log(f"yield {task.result()}")


@scenario
async def O34(t):
    async def body():
        await yields(4)
        t.log("inner done")
        return "value"

    async def waiter():
        try:
            await asyncio.shield(inner)
        except asyncio.CancelledError:
            t.log(f"outer cancelled; inner.done {inner.done()}")
            raise
    inner = asyncio.create_task(body())
    outer = asyncio.create_task(waiter())
    await asyncio.sleep(0)
    outer.cancel()
    t.log("cancelled outer")
    await asyncio.wait([outer])
    if outer.cancelled():
        t.log("outer task cancelled")
    t.log(f"inner -> {await inner}")


if __name__ == "__main__":
    run_chosen()
