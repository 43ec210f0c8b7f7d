"""Task groups: O31 to O33."""

import asyncio

from ticks import cancelling, run_chosen, scenario, yields


@scenario
async def O31(t):
    async def child(name, extra):
        await yields(extra)
        t.log(f"{name} end")
    async with asyncio.TaskGroup() as tg:
        tg.create_task(child("a", 2))
        tg.create_task(child("b", 0))
        t.log("body-end")
    t.log("after group")


@scenario
async def O32(t):
    async def w():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            t.log("w cancelled")
            raise

    async def fail():
        t.log("fail raises")
        raise ValueError

    async def bad():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            t.log("bad raises in cleanup")
            raise KeyError from None
    try:
        async with asyncio.TaskGroup() as tg:
            tg.create_task(w())
            tg.create_task(fail())
            tg.create_task(bad())
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                t.log(f"body cancelled, count {cancelling()}")
                raise
    except* (ValueError, KeyError) as group:
        t.log(f"group [{', '.join(type(e).__name__ for e in group.exceptions)}], count {cancelling()}")
    await asyncio.sleep(0)
    t.log("parent continues")


@scenario
async def O33_child_cancelled(t):
    async def ok():
        await yields(2)
        t.log("ok finished")
    async with asyncio.TaskGroup() as tg:
        tg.create_task(asyncio.sleep(60)).cancel()
        tg.create_task(ok())
    t.log("group exits cleanly")


@scenario
async def O33_parent_cancelled(t):
    async def child():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            t.log("child cancelled")
            raise

    async def parent():
        try:
            async with asyncio.TaskGroup() as tg:
                tg.create_task(child())
                t.log("body-end")
        except asyncio.CancelledError:
            t.log(f"parent CancelledError, count {cancelling()}")
            raise
    task = asyncio.create_task(parent())
    await yields(2)
    t.log("cancel")
    task.cancel()
    await asyncio.wait([task])
    t.log("cancelled" if task.cancelled() else "not cancelled")


if __name__ == "__main__":
    run_chosen()
