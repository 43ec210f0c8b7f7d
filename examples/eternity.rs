//! One second of patience for something that takes an hour.
//!
//! A port of the asyncio program around `asyncio.wait_for(eternity(), timeout=1.0)`. At the deadline the inner call is
//! cancelled, so `yay!` is never printed.
//!
//! Run it with `cargo run --example eternity`.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use evloop::time::secs;
use evloop::{Clock, EventLoop, now, sleep, wait_for};

/// Prints a line.
type Out = Rc<dyn Fn(&str)>;

async fn eternity(out: Out) {
    sleep(secs(3600)).await;
    out("yay!");
}

async fn program(out: Out) {
    // `TimeoutError` is an ordinary value here: the compiler insists that somebody looks at it.
    if wait_for(eternity(out.clone()), secs(1)).await.is_err() {
        out("timeout!");
    }
}

/// Runs the program, on the clock asked for, and tells how long that took by this clock.
pub(crate) fn demo(clock: Clock, out: Out) -> io::Result<Duration> {
    let mut event_loop = EventLoop::builder().clock(clock).build()?;
    let timed = async {
        let start = now();
        program(out).await;
        now() - start
    };
    event_loop.run_until_complete(timed).map_err(io::Error::other)
}

fn main() -> io::Result<()> {
    // Not `println!`, which panics once nobody reads any more.
    let out = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    demo(Clock::Monotonic, Rc::new(out)).map(drop)
}
