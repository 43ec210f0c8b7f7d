"""Runs the scenarios of tests/parity as asyncio programs and prints their traces.

The file `x.py` beside this one holds the programs that the tests in `../x.rs` are ported from:

    python3.13 callbacks.py           print every trace
    python3.13 callbacks.py O02 O38   print some

A line printed is "scenario: tick:event | tick:event ...", where the tick is the number of the loop's
iteration; the first step of main is in iteration 1. For CPython 3.13 (Queue.shutdown, wait_for without a
task of its own). Nothing in the project reads these files; the traces stand in the tests.
"""

import asyncio
import sys

SCENARIOS = {}


class TickLoop(asyncio.SelectorEventLoop):
    ticks = 0

    def _run_once(self):
        self.ticks += 1
        super()._run_once()


class Trace(list):
    def __init__(self, loop):
        self.loop = loop

    def log(self, event):
        self.append(f"{self.loop.ticks}:{event}")

    def note(self, event):
        self.append(event)

    def show(self, name):
        print(f"{name}: {' | '.join(self)}")


def scenario(function):
    """A coroutine function that is given a trace and runs as main of a fresh loop."""
    def run():
        loop = TickLoop()
        trace = Trace(loop)
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(function(trace))
        finally:
            loop.close()
        trace.show(function.__name__)
    SCENARIOS[function.__name__] = run
    return function


def by_hand(function):
    """A plain function that makes its own loop and returns its trace."""
    SCENARIOS[function.__name__] = lambda: function().show(function.__name__)
    return function


def run_chosen():
    chosen = sys.argv[1:]
    for name, run in SCENARIOS.items():
        if not chosen or any(name.startswith(c) for c in chosen):
            run()


async def yields(count):
    for _ in range(count):
        await asyncio.sleep(0)


def cancelling():
    return asyncio.current_task().cancelling()
