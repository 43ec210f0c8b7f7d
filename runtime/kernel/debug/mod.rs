//! Debug mode: whether it is on, whom it tells, and who watches the steps.
//!
//! What it costs when it is off: one load per batch. When it is on, a batch is run by
//! [`run_batch_watched`](super::scheduler::ReadyList::run_batch_watched), which tells the watchdog of each step. What
//! the tasks wait for is written down at no time: tasks are asked when somebody wants to know (`probe.rs`).
//!
//! Nothing in here knows tasks: who runs and who waits comes in as plain data ([`TaskInfo`]).

mod info;
pub(crate) mod probe;
mod report;
mod waits;
mod watchdog;

use std::cell::{Cell, RefCell};
use std::time::Duration;

pub use info::{Step, TaskInfo};
pub use report::DebugReport;
pub(crate) use report::Sink;
pub use waits::{Stuck, TaskWaits, Wait};
use watchdog::Watchdog;

/// asyncio's `slow_callback_duration`.
pub(crate) const SLOW: Duration = Duration::from_millis(100);

/// The switch that a process is started with.
const VARIABLE: &str = "EVLOOP_DEBUG";

/// Whether the environment asks for debug mode.
pub(crate) fn wanted_by_environment() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// A loop's debug mode.
pub(crate) struct Debug {
    on: Cell<bool>,
    slow: Cell<Duration>,
    sink: Sink,
    /// Started with the first batch that is watched.
    watchdog: RefCell<Option<Watchdog>>,
    /// Whether it was told that nothing can wake the loop, and nothing has run since.
    told_stuck: Cell<bool>,
    /// Watched descriptors that no task waits for, since they are the runner's own: nothing is to be expected of them.
    pub(crate) background: Cell<usize>,
}

impl Debug {
    pub(crate) fn new(on: bool, slow: Duration, sink: Sink) -> Self {
        Self {
            on: Cell::new(on),
            slow: Cell::new(slow),
            sink,
            watchdog: RefCell::new(None),
            told_stuck: Cell::new(false),
            background: Cell::new(0),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.get()
    }

    pub(crate) fn set(&self, on: bool) {
        self.on.set(on);
        if !on && let Some(watchdog) = self.watchdog.take() {
            // Not even of the step that does this.
            watchdog.forget();
        }
    }

    /// How long a step may take.
    pub(crate) fn slow(&self) -> Duration {
        self.slow.get()
    }

    pub(crate) fn set_slow(&self, slow: Duration) {
        self.slow.set(slow);
        if let Some(watchdog) = &*self.watchdog.borrow() {
            watchdog.set_slow(slow);
        }
    }

    /// Tells whoever is told in debug mode; if it is off, nobody.
    pub(crate) fn tell(&self, report: &DebugReport) {
        if self.is_on() {
            self.sink.tell(report);
        }
    }

    /// Whether the loop is still in the silence that was told of. A loop that goes on has to say so.
    pub(crate) fn told_stuck(&self) -> &Cell<bool> {
        &self.told_stuck
    }

    /// Runs a step under the eyes of the watchdog.
    pub(crate) fn watch(&self, step: Step, run: impl FnOnce()) {
        self.told_stuck.set(false);
        if !self.is_on() {
            // A step of the same batch has turned it off.
            return run();
        }
        // The step may end the loop and this with it: nothing is borrowed while it runs.
        let watchdog = self
            .watchdog
            .borrow_mut()
            .get_or_insert_with(|| Watchdog::start(self.slow(), &self.sink))
            .clone();
        watchdog.begin(step);
        run();
        if let Some(took) = watchdog.end() {
            self.tell(&took);
        }
    }
}
