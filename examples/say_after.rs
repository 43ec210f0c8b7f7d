//! Two sleeps one after the other, then two sleeps at the same time.
//!
//! A port of the first two programs of every asyncio course: `await say_after(1, "hello")`, and the same with
//! `asyncio.create_task`. One after the other, 1 s and 2 s take three; as tasks, 3 s and 1 s take three as well, and
//! `world` comes first.
//!
//! Run it with `cargo run --example say_after`.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evloop::time::secs;
use evloop::{Clock, EventLoop, create_task, now, sleep};

/// Prints a line. The tasks of a loop share it without a lock: they never leave the loop's thread.
type Out = Rc<dyn Fn(&str)>;

async fn say_after(delay: Duration, what: &str, out: Out) {
    sleep(delay).await;
    out(what);
}

/// asyncio's program prints `time.strftime('%X')`. The seconds since the start, on the loop's clock, are the same on
/// every run and on both clocks: the output can be compared.
fn print_time(what: &str, start: Instant, out: &Out) {
    out(&format!("{what} at {} s", (now() - start).as_secs()));
}

/// Awaiting a call runs it here and now: the second sleep begins when the first is over.
async fn one_after_the_other(out: Out) {
    let start = now();
    print_time("started", start, &out);
    say_after(secs(1), "hello", out.clone()).await;
    say_after(secs(2), "world", out.clone()).await;
    print_time("finished", start, &out);
}

/// A task runs whether or not somebody awaits it: both sleep while we wait for the first.
async fn two_tasks(out: Out) -> io::Result<()> {
    let start = now();
    print_time("started", start, &out);
    let task1 = create_task(say_after(secs(3), "hello", out.clone()));
    let task2 = create_task(say_after(secs(1), "world", out.clone()));
    task1.await.map_err(io::Error::other)?; // an error if the task was cancelled or panicked
    task2.await.map_err(io::Error::other)?;
    print_time("finished", start, &out);
    Ok(())
}

/// Runs both, on the clock asked for, and tells how long that took by this clock.
pub(crate) fn demo(clock: Clock, out: Out) -> io::Result<Duration> {
    let mut event_loop = EventLoop::builder().clock(clock).build()?;
    let program = async {
        let start = now();
        one_after_the_other(out.clone()).await;
        two_tasks(out).await?;
        Ok(now() - start)
    };
    event_loop.run_until_complete(program).map_err(io::Error::other)?
}

fn main() -> io::Result<()> {
    // Not `println!`, which panics once nobody reads any more (`… | head -1`).
    let out = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    demo(Clock::Monotonic, Rc::new(out)).map(drop)
}
