//! Asking the tasks what they wait for: each makes one step more than it needs.
//!
//! A step is all that happens, so whatever a task does in it is done in order, cancellations included. A task that has
//! been woken, or has a request or an offer before it, is not asked: it will go on by itself, and its step is not this one.

use super::handle::{TaskRef, live_tasks};
use super::state::{CANCEL, OFFER, QUEUED};
use super::step;
use crate::kernel::context::{Home, with_current};
use crate::kernel::debug::probe::{Listening, Said};
use crate::kernel::debug::{DebugReport, TaskWaits};
use crate::kernel::variables::Inside;

/// What every unfinished task waits for, in order of creation. Not inside of a step: a task that is polled here may want
/// what the code that runs has borrowed.
pub(crate) fn probe_tasks(home: &Home) -> Vec<TaskWaits> {
    debug_assert!(home.current_task.get().is_none(), "tasks are asked between steps");
    let tasks = live_tasks(home);
    // Inside of nothing, since whoever asks may be a callback, with a context.
    let inside = home.go_inside(Inside::Nothing);
    let answers: Vec<_> = tasks.iter().map(|task| (task.info(), ask(task))).collect();
    drop(home.go_inside(inside));
    let name = |id: u64| {
        let place = tasks.binary_search_by_key(&id, TaskRef::id).ok()?;
        Some(tasks[place].name().to_string())
    };
    let describe = |(info, answer)| match answer {
        Answer::Ready => TaskWaits::ready(info),
        Answer::WentOn => TaskWaits::went_on(info),
        Answer::Waits(said) => TaskWaits::of(info, said, name),
    };
    answers.into_iter().map(describe).collect()
}

enum Answer {
    /// It was not asked.
    Ready,
    /// It has ended, whatever some of its parts said that they wait for.
    WentOn,
    Waits(Vec<Said>),
}

fn ask(task: &TaskRef) -> Answer {
    let state = &task.header().state;
    // One that was asked before may have ended or woken this one.
    if task.done() || state.has(QUEUED | CANCEL | OFFER) || !state.wake_at_home() {
        return Answer::Ready;
    }
    let listening = Listening::start();
    // SAFETY: a counted reference, at home; the wake has made the claim that the FIFO would have had, and nobody else
    // is in a step.
    unsafe { step::run(task.task.entry()) };
    let said = listening.heard();
    if task.done() { Answer::WentOn } else { Answer::Waits(said) }
}

/// Tells, in debug mode, that the task whose step runs begins to wait for what it holds itself.
#[cold]
pub(crate) fn tell_of_own_lock(what: &'static str) {
    with_current(|_, home| {
        if let Some(task) = super::current_task(home).filter(|_| home.debug.is_on()) {
            home.debug.tell(&DebugReport::OwnLock { task: task.info(), what });
        }
    });
}
