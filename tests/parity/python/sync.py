"""Locks, semaphores, events, conditions, barriers: O20, O21, O26, O27, O37."""

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


@scenario
async def O26(t):
    event = asyncio.Event()

    async def waiter(number):
        await event.wait()
        t.log(number if number < 4 else f"4 woke, is_set {event.is_set()}")
    tasks = [asyncio.create_task(waiter(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(waiter(3)))
    event.set()
    await asyncio.sleep(0)
    event.clear()
    tasks.append(asyncio.create_task(waiter(4)))
    await asyncio.sleep(0)
    event.set()
    event.clear()
    await asyncio.wait(tasks)


@scenario
async def O26_cancelled(t):
    event = asyncio.Event()

    async def waiter():
        try:
            await event.wait()
            t.log("a woke")
        except asyncio.CancelledError:
            t.log("a cancelled although event set")
            raise
    a = asyncio.create_task(waiter())
    await asyncio.sleep(0)
    event.set()
    a.cancel()
    await asyncio.wait([a])


@scenario
async def O27(t):
    condition = asyncio.Condition()

    async def waiter(number):
        async with condition:
            await condition.wait()
            t.log(f"{number} woke")
            await asyncio.sleep(0)
            t.log(f"{number} leaves")
    tasks = [asyncio.create_task(waiter(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    async with condition:
        condition.notify(2)
        t.log("notified 2")
        await asyncio.sleep(0)
        t.log("still holding lock")
    t.log("released")
    await yields(6)
    async with condition:
        condition.notify_all()
        t.log("notify_all")
    await asyncio.wait(tasks)


@scenario
async def O27_cancelled(t):
    condition = asyncio.Condition()

    async def waiter(number):
        async with condition:
            try:
                await condition.wait()
                t.log(f"{number} woke")
            except asyncio.CancelledError:
                assert condition.locked()
                t.log(f"{number} cancelled while holding the lock")
                raise
    tasks = [asyncio.create_task(waiter(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    async with condition:
        condition.notify(1)
    tasks[0].cancel()
    await asyncio.wait(tasks)


@scenario
async def O37_barrier(t):
    barrier = asyncio.Barrier(3)

    async def party(name):
        t.log(f"{name} index {await barrier.wait()}")
    await asyncio.gather(*[party(f"p{n}") for n in range(3)])


@scenario
async def O37_barrier_broken(t):
    barrier = asyncio.Barrier(3)

    async def party(name):
        try:
            await barrier.wait()
        except asyncio.CancelledError:
            t.log(f"{name} cancelled; n_waiting {barrier.n_waiting}")
        except asyncio.BrokenBarrierError:
            t.log(f"{name} broken" + (" at once" if name == "d" else ""))
    a = asyncio.create_task(party("a"))
    await asyncio.sleep(0)
    a.cancel()
    await yields(2)
    t.note(f"broken {barrier.broken}")
    c = asyncio.create_task(party("c"))
    await yields(2)
    await barrier.abort()
    await asyncio.wait([c])
    t.log(f"broken {barrier.broken}")
    await asyncio.wait([asyncio.create_task(party("d"))])
    await barrier.reset()
    t.log(f"after reset broken {barrier.broken}")


if __name__ == "__main__":
    run_chosen()
