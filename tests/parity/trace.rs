//! What a scenario writes down: events, each with the number of the loop's iteration it happened in.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use evloop::{LoopHandle, get_running_loop, yield_now};

/// A list of `"tick:event"`, shared by its clones. `Send`, so that mail from other threads can carry it;
/// what it logs happens on the loop's thread.
#[derive(Clone)]
pub(crate) struct Trace {
    events: Arc<Mutex<Vec<String>>>,
    /// The iteration before tick 1.
    base: u64,
}

impl Trace {
    /// Tick 1 is the loop's first iteration, in which `main` has its first step.
    pub(crate) fn new() -> Self {
        Self { events: Arc::default(), base: 0 }
    }

    /// Tick 1 is the iteration that runs now.
    pub(crate) fn from_here() -> Self {
        Self { base: iteration() - 1, ..Self::new() }
    }

    /// Writes an event down, with the tick of the running loop.
    pub(crate) fn log(&self, event: impl Display) {
        self.write(format!("{}:{event}", iteration() - self.base));
    }

    /// As [`log`](Self::log), for a loop that does not run at the moment: with its last tick.
    pub(crate) fn log_outside(&self, handle: &LoopHandle, event: impl Display) {
        self.write(format!("{}:{event}", handle.iterations() - self.base));
    }

    /// Writes something down that has no tick.
    pub(crate) fn note(&self, event: impl Display) {
        self.write(event.to_string());
    }

    /// A callback that logs an event.
    pub(crate) fn logs(&self, event: &'static str) -> impl FnOnce() + Send + 'static {
        let trace = self.clone();
        move || trace.log(event)
    }

    /// All that was written since the last `take`.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn write(&self, line: String) {
        self.events.lock().unwrap().push(line);
    }
}

fn iteration() -> u64 {
    get_running_loop().expect("events happen in the loop").iterations()
}

/// `await asyncio.sleep(0)`, so many times.
pub(crate) async fn yields(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}
