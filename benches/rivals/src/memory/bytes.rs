//! What a task costs in memory while it does nothing: one that waits for ever, one that sleeps.
//!
//! Resident memory before and after, of a process of its own for each figure, so that nobody finds room that another has
//! left. It is what the system gives, with the allocator's own and with what grew too large.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::time::Duration;

use super::runtime::Runtime;

/// The rows, and what the child is asked for.
pub(crate) const ROWS: [(&str, &str); 2] =
    [("bytes of a task that waits", "waiting"), ("bytes of a task that sleeps", "sleeping")];
/// Many pages of tasks, whatever the runtime.
pub(crate) const TASKS: u64 = 200_000;

/// Different ones, in one hour from now.
const EARLIEST: Duration = Duration::from_secs(3600);

/// Bytes for each of so many tasks of that kind.
pub(crate) fn run<R: Runtime>(kind: &str, tasks: u64) -> io::Result<f64> {
    let sleeping = kind == "sleeping";
    let mut runtime = R::new();
    let before = runtime.run(|spawner| grow::<R>(spawner, 1000, sleeping))?;
    let after = runtime.run(move |spawner| grow::<R>(spawner, tasks, sleeping))?;
    let bytes = after.saturating_sub(before) as f64 / tasks as f64;
    // Its end costs time and tells nothing.
    std::mem::forget(runtime);
    Ok(bytes)
}

thread_local! {
    /// How many tasks have come to where they wait. No part of theirs, so that they hold what they need and no more.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
}

/// How many have begun before this one.
fn begin() -> u64 {
    BEGUN.replace(BEGUN.get() + 1)
}

/// Starts the tasks, lets all of them come to where they wait, and looks.
async fn grow<R: Runtime>(spawner: R::Spawner, tasks: u64, sleeping: bool) -> io::Result<u64> {
    BEGUN.set(0);
    for _ in 0..tasks {
        if sleeping {
            R::detach(R::spawn(&spawner, async {
                R::sleep(EARLIEST + Duration::from_micros(begin())).await;
            }));
        } else {
            R::detach(R::spawn(&spawner, async {
                begin();
                pending::<()>().await;
            }));
        }
    }
    while BEGUN.get() < tasks {
        R::yield_now().await;
    }
    resident()
}

/// Bytes of this process that are in memory.
fn resident() -> io::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm has another form"))?;
    Ok(pages * rustix::param::page_size() as u64)
}
