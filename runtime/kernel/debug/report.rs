//! What debug mode tells, and to whom.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use super::info::{Step, TaskInfo};
use super::waits::Stuck;
use crate::kernel::exception::{discard, panic_text};

/// What debug mode has found. Its `Display` is what standard error is told.
///
/// # asyncio
/// The warnings of debug mode, and the `ResourceWarning`s.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DebugReport {
    /// A step has been running for longer than it should and still does: the loop stands still. Told by the watchdog, on a
    /// thread of its own.
    #[non_exhaustive]
    StillRunning {
        /// What runs.
        step: Step,
        /// For how long by now.
        running: Duration,
    },
    /// A step that took longer than it should is over.
    #[non_exhaustive]
    SlowStep {
        /// What ran.
        step: Step,
        /// How long it took.
        took: Duration,
    },
    /// Nothing can wake the loop any more: no timer is set, nobody waits for a descriptor, a signal or another thread, no
    /// job runs, no proxy exists, and for a second nobody has rung. The loop goes on waiting.
    Stuck(Stuck),
    /// A task has begun to wait for a lock that it holds itself.
    #[non_exhaustive]
    OwnLock {
        /// The task.
        task: TaskInfo,
        /// The operation: `Lock::acquire`.
        what: &'static str,
    },
    /// The handle of an unfinished task was dropped, neither awaited nor detached.
    #[non_exhaustive]
    NeverAwaited {
        /// The task.
        task: TaskInfo,
    },
    /// The loop has ended and has dropped this task.
    #[non_exhaustive]
    DroppedPending {
        /// The task.
        task: TaskInfo,
    },
    /// A write was dropped when a part of it had been written.
    #[non_exhaustive]
    HalfWritten {
        /// The operation: `TcpStream::write_all`.
        what: &'static str,
        /// How many bytes were written.
        written: usize,
        /// How many were to be written.
        of: usize,
        /// The task that it was dropped in.
        task: Option<TaskInfo>,
    },
}

impl fmt::Display for DebugReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillRunning { step, running } => {
                write!(
                    f,
                    "{step} has been running for {:.3} seconds and holds the loop up",
                    running.as_secs_f64()
                )
            }
            Self::SlowStep { step, took } => write!(f, "{step} took {:.3} seconds", took.as_secs_f64()),
            Self::Stuck(stuck) => stuck.fmt(f),
            Self::OwnLock { task, what } => write!(
                f,
                "task {task} waits in {what} for a lock that it holds itself: for ever, unless another part of this very \
                 task (a branch of a join or a select) lets it go"
            ),
            Self::NeverAwaited { task } => write!(
                f,
                "the handle of task {task} was dropped before the task had ended: it runs on and nobody hears of its \
                 result; await it, or say so with `detach()`"
            ),
            Self::DroppedPending { task } => {
                write!(f, "task {task} was dropped with its loop while it was still pending")
            }
            Self::HalfWritten { what, written, of, task } => {
                write!(f, "{what} was dropped after {written} of {of} bytes")?;
                match task {
                    Some(task) => write!(f, ", in task {task}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The watchdog calls it on its own thread.
type Told = dyn Fn(&DebugReport) + Send + Sync;

/// Who is told: a function, or standard error.
#[derive(Clone, Default)]
pub(crate) struct Sink(Option<Arc<Told>>);

impl Sink {
    pub(crate) fn new(f: impl Fn(&DebugReport) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    pub(super) fn tell(&self, report: &DebugReport) {
        let Some(told) = &self.0 else { return to_standard_error(report) };
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| told(report))) {
            to_standard_error(report);
            let text = panic_text(&*payload).to_owned();
            to_standard_error(&format_args!("whoever is told of the reports of debug mode panicked: {text}"));
            discard(payload);
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a function" } else { "standard error" })
    }
}

/// Writes, whatever becomes of that.
fn to_standard_error(what: &dyn fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "evloop, debug mode: {what}");
}
