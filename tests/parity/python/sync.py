"""Locks and semaphores: O20, O21."""

import asyncio

from ticks import run_chosen, scenario, yields


async def hand_over(t, primitive, last):
    """A holds, B and C queue, A releases and at once acquires again."""
    has_out = isinstance(primitive, asyncio.Lock)

    async def a():
        async with primitive:
            t.log("A in")
            await yields(2)
        t.log(f"A released; locked()={primitive.locked()}")
        async with primitive:
            t.log(last)

    async def other(name):
        async with primitive:
            t.log(f"{name} in")
            if has_out:
                t.log(f"{name} out")
    await asyncio.gather(a(), other("B"), other("C"))


@scenario
async def O20(t):
    await hand_over(t, asyncio.Lock(), "A in again")


@scenario
async def O20_cancelled_waiter(t):
    lock = asyncio.Lock()

    async def waiter(name):
        try:
            async with lock:
                t.log(f"{name} in")
        except asyncio.CancelledError:
            t.log(f"{name} cancelled")
            raise
    await lock.acquire()
    a, b = asyncio.create_task(waiter("a")), asyncio.create_task(waiter("b"))
    await asyncio.sleep(0)
    lock.release()
    a.cancel()
    await asyncio.wait([a, b])


@scenario
async def O21(t):
    await hand_over(t, asyncio.Semaphore(1), "A again")


@scenario
async def O21_two_releases(t):
    semaphore = asyncio.Semaphore(0)

    async def waiter(number):
        await semaphore.acquire()
        t.log(number)
    tasks = [asyncio.create_task(waiter(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    semaphore.release()
    semaphore.release()
    t.log(f"value {semaphore._value}, locked {semaphore.locked()}")
    await asyncio.sleep(0)
    t.log("main")
    semaphore.release()
    await asyncio.wait(tasks)


if __name__ == "__main__":
    run_chosen()
