"""How a run begins and ends, and what other threads add to it: O25, O35, O36."""

import asyncio
import os
import signal
import threading

from ticks import TickLoop, Trace, by_hand, run_chosen, scenario, yields


@by_hand
def O25_a():
    loop = TickLoop()
    t = Trace(loop)

    def a():
        t.log("a")
        loop.stop()
        loop.call_soon(t.log, "later")
    loop.call_soon(a)
    loop.call_soon(t.log, "b")
    loop.run_forever()
    t.note("returned")
    loop.stop()
    loop.run_forever()
    loop.close()
    return t


@by_hand
def O25_b():
    loop = TickLoop()
    t = Trace(loop)
    loop.call_soon(lambda: (t.log("first"), loop.call_soon(t.log, "second")))
    loop.stop()
    loop.run_forever()
    t.note("returned")
    loop.close()
    return t


@by_hand
def O25_c():
    loop = TickLoop()
    t = Trace(loop)

    def cb1():
        t.log("cb1")
        loop.call_soon(t.log, "cb2")

    async def main():
        loop.call_soon(cb1)
        t.log("main returns")
    loop.run_until_complete(main())
    t.log("result")
    loop.stop()
    loop.run_forever()
    loop.close()
    return t


@by_hand
def O35():
    loop = TickLoop()
    t = Trace(loop)

    async def background():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            t.log("bg cancelled")
            await asyncio.sleep(0)
            t.log("bg cleanup may await")
            raise
        finally:
            t.log("bg finally")

    async def main():
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        t.log("main returns")
        del task
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    return t


@scenario
async def O36_threads(t):
    fut = t.loop.create_future()

    def thread():
        for i in range(3):
            t.loop.call_soon_threadsafe(t.log, f"thr {i}")
    t.loop.call_soon(t.log, "before")
    other = threading.Thread(target=thread)
    other.start()
    other.join()
    t.loop.call_soon(lambda: (t.log("after"), fut.set_result(None)))
    await fut
    t.log("main")


@scenario
async def O36_main_only_yields(t):
    t.loop.call_soon(t.log, "before")
    other = threading.Thread(target=lambda: t.loop.call_soon_threadsafe(t.log, "thr"))
    other.start()
    other.join()
    await asyncio.sleep(0)
    t.log("main")
    await yields(2)


@scenario
async def O36_signals(t):
    event = asyncio.Event()
    t.loop.add_signal_handler(signal.SIGUSR1, lambda: (t.log("sig"), event.set()))
    os.kill(os.getpid(), signal.SIGUSR1)
    t.log("after kill")
    t.loop.call_soon(t.log, "soon")
    await event.wait()
    t.log("main")
    t.loop.remove_signal_handler(signal.SIGUSR1)


if __name__ == "__main__":
    run_chosen()
