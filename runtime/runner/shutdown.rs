//! The end of a run: tasks first, then blocking jobs; the loop itself is dropped by the caller.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use super::builder::Settings;
use super::interrupt::Interrupted;
use crate::kernel::{EventLoop, LoopHandle, RunError, TaskRef, Visit, report_error};
use crate::threads::Pool;

/// Cancels all tasks and runs until they have ended, the time is up, or Ctrl-C.
pub(super) fn end_tasks(event_loop: &mut EventLoop, settings: Settings) -> Result<(), RunError> {
    let handle = event_loop.handle();
    if handle.all_tasks().is_empty() {
        return Ok(());
    }
    let enough = Rc::new(Cell::new(false));
    let interrupted = Interrupted::new();
    let _interrupts = settings.handle_sigint.then(|| interrupted.says_enough(&handle, &enough));
    let limit = settings.grace.map(|time| {
        let enough = enough.clone();
        handle.call_later(time, move || enough.set(true))
    });
    let ended = event_loop.cancel_all_tasks_until(&enough);
    if let Some(limit) = limit {
        limit.cancel();
    }
    match ended {
        _ if interrupted.once() => return Err(RunError::Interrupted),
        // A cleanup may stop the loop; then the rest is dropped.
        Ok(()) | Err(RunError::Stopped) => {}
        Err(error) => return Err(error),
    }
    let late = Late(handle.all_tasks());
    if enough.get() && !late.0.is_empty() {
        let _visit = Visit::new(handle.loop_ref());
        report_error("the time for cleanups is over, and what is not done is dropped", &late);
    }
    Ok(())
}

/// Ends the blocking pool. The exit of a process never waits for a blocking job.
pub(super) fn leave_jobs(handle: &LoopHandle) {
    let pool = handle.loop_ref().with(|home| home.find_extension::<Pool>()).flatten();
    let running = pool.map_or(0, |pool| pool.shut_down());
    if running > 0 {
        let _visit = Visit::new(handle.loop_ref());
        report_error("the run is over, and blocking jobs are left behind", &StillRunning(running));
    }
}

/// Tasks that are still busy.
#[derive(Debug)]
struct Late(Vec<TaskRef>);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, task) in self.0.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { ", " })?;
            write!(f, "{}", task.name())?;
            if let Some(location) = task.location() {
                write!(f, " created at {location}")?;
            }
        }
        Ok(())
    }
}

impl Error for Late {}

/// Functions given to `to_thread`.
#[derive(Debug)]
struct StillRunning(usize);

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 function given to to_thread still runs"),
            n => write!(f, "{n} functions given to to_thread still run"),
        }
    }
}

impl Error for StillRunning {}
