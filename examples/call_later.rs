//! The loop without tasks: four callbacks that call one another once a second, until one of them stops the loop.
//!
//! A port of the asyncio program with `function_1` to `function_4`, `loop.call_soon`, `loop.call_later`,
//! `loop.run_forever` and `loop.stop`. It is given nine seconds: the ninth call, at eight seconds, sees that the next
//! would not come *before* the end, and stops.
//!
//! Run it with `cargo run --example call_later`.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evloop::time::secs;
use evloop::{Clock, EventLoop, LoopHandle};

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

/// What the callbacks hand on. asyncio's program passes `(end_time, loop)`.
struct Program {
    end_time: Instant,
    event_loop: LoopHandle,
    out: Out,
}

fn function_1(program: Program) {
    (program.out)("function_1 called");
    then(function_2, program);
}

fn function_2(program: Program) {
    (program.out)("function_2 called");
    then(function_3, program);
}

fn function_3(program: Program) {
    (program.out)("function_3 called");
    then(function_1, program);
}

fn function_4(program: Program) {
    (program.out)("function_4 called");
    then(function_1, program);
}

/// Calls `next` in a second if that is before the end, else stops the loop.
fn then(next: fn(Program), program: Program) {
    let event_loop = program.event_loop.clone();
    if event_loop.time() + secs(1) < program.end_time {
        event_loop.call_later(secs(1), move || next(program));
    } else {
        event_loop.stop();
    }
}

/// Runs the loop, on the clock asked for, until it is stopped, and tells how long that took by this clock.
pub(crate) fn demo(clock: Clock, out: Out) -> io::Result<Duration> {
    let mut event_loop = EventLoop::builder().clock(clock).build()?;
    let handle = event_loop.handle();
    let start = handle.time();
    let program = Program { end_time: start + secs(9), event_loop: handle.clone(), out };
    handle.call_soon(move || function_4(program));
    event_loop.run_forever().map_err(io::Error::other)?;
    Ok(handle.time() - start)
}

fn main() -> io::Result<()> {
    // Not `println!`, which panics once nobody reads any more.
    let out = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    demo(Clock::Monotonic, Rc::new(out)).map(drop)
}
