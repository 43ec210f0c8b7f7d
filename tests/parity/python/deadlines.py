"""Deadlines against values, cancellation and each other: O24, O28, O29 (order only).

time.sleep blocks the thread past two deadlines, so that both timers fire in one iteration.
"""

import asyncio
import time

from ticks import cancelling, run_chosen, scenario, yields


@scenario
async def O24(t):
    def set_result(fut):
        try:
            fut.set_result("V")
            t.log("set_result")
        except asyncio.InvalidStateError:
            t.log("set_result -> InvalidStateError")
    for difference in (-0.001, 0.001):
        fut = t.loop.create_future()
        deadline = t.loop.time() + 0.01
        t.loop.call_at(deadline + difference, set_result, fut)
        try:
            async with asyncio.timeout_at(deadline) as scope:
                time.sleep(0.02)
                await fut
        except TimeoutError:
            state = "cancelled" if fut.cancelled() else f"result {fut.result()!r}"
            t.log(f"TimeoutError, fut {state}, expired {scope.expired()}, count {cancelling()}")
        await asyncio.sleep(0)


async def timeout_and_cancel(t, cancel_first):
    when = t.loop.time() + 0.01

    async def body():
        try:
            async with asyncio.timeout_at(when) as scope:
                await t.loop.create_future()
        except asyncio.CancelledError:
            t.log(f"CancelledError wins, expired {scope.expired()}, count {cancelling()}")
            raise
        except TimeoutError:
            t.log(f"TimeoutError, expired {scope.expired()}, count {cancelling()}")
    task = asyncio.create_task(body())
    t.loop.call_at(when + (-0.001 if cancel_first else 0.001), task.cancel)
    await asyncio.sleep(0)
    time.sleep(0.02)
    await asyncio.wait([task])
    t.log(f"task cancelled {task.cancelled()}")


@scenario
async def O28_cancel_before_the_deadline(t):
    await timeout_and_cancel(t, True)


@scenario
async def O28_cancel_after_the_deadline(t):
    await timeout_and_cancel(t, False)


@scenario
async def O28_equal_nested_deadlines(t):
    when = t.loop.time() + 0.01
    try:
        async with asyncio.timeout_at(when) as outer:
            try:
                async with asyncio.timeout_at(when) as inner:
                    await t.loop.create_future()
            except (TimeoutError, asyncio.CancelledError) as error:
                t.log(f"inner block sees {type(error).__name__}, inner.expired {inner.expired()}, "
                      f"count {cancelling()}")
                raise
    except TimeoutError:
        t.log(f"outer TimeoutError, outer.expired {outer.expired()}, count {cancelling()}")


@scenario
async def O29_zero(t):
    async def body():
        t.log("body ran")
    try:
        await asyncio.wait_for(body(), 0)
    except TimeoutError:
        t.log("TimeoutError")
    done = t.loop.create_future()
    done.set_result("value")
    t.log(f"done future {await asyncio.wait_for(done, 0)}")
    try:
        async with asyncio.timeout(0):
            t.log("inside timeout(0)")
            await asyncio.sleep(0)
            t.log("never")
    except TimeoutError:
        t.log("fired at first suspension")
    async with asyncio.timeout(0):
        pass
    t.log("no suspension -> no timeout")


@scenario
async def O29_slow_cleanup(t):
    async def inner():
        try:
            await t.loop.create_future()
        except asyncio.CancelledError:
            t.log("inner cancelled")
            await yields(2)
            t.log("inner cleanup finished")
            raise
    task = asyncio.create_task(inner())
    try:
        await asyncio.wait_for(task, 0.001)
    except TimeoutError:
        t.log(f"TimeoutError, inner done {task.done()}")


if __name__ == "__main__":
    run_chosen()
