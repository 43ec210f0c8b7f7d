//! A first step at once, inside of the call that creates the task.
//!
//! The step is the new task's own in every respect, although another one's, or a callback, is under way below
//! it on the stack: the current task, its scope node and its number come back afterwards. The offers that the
//! outer step is polled under are out of sight meanwhile, so that nobody in here can take them, and nothing
//! that is born in here counts as born under them. Only the budget is shared: what is taken from outside is
//! taken in the outer one's turn.

use std::mem;

use super::header::TaskPtr;
use super::state::{QUEUED, WOKEN};
use super::step::step;
use crate::kernel::context::Home;
use crate::kernel::scope::delivery::Offer;
use crate::kernel::variables::Inside;

/// The first step of a task that is in no list.
///
/// # Safety
/// Alive, at home, new, with the list's claim, which ends here; its loop is the current one, and in a turn.
pub(super) unsafe fn step_at_once(task: TaskPtr, home: &Home) {
    let outside = Outside::leave(home);
    home.begin_step();
    // SAFETY: alive.
    let state = unsafe { task.state() };
    let flags = state.flags();
    state.clear(QUEUED | WOKEN);
    // SAFETY: the caller's duty; the claim is not needed, since its `Task` exists.
    unsafe { step(task, home, flags) };
    drop(outside);
}

/// What belongs to the step, or the callback, that waits below on the stack.
struct Outside<'a> {
    home: &'a Home,
    inside: Inside,
    open: Vec<Offer>,
    step: u64,
}

impl<'a> Outside<'a> {
    fn leave(home: &'a Home) -> Self {
        let inside = home.go_inside(Inside::Nothing);
        let open = mem::take(&mut home.scopes.borrow_mut().open);
        Self { home, inside, open, step: home.step() }
    }
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.home.go_on(self.step);
        self.home.scopes.borrow_mut().open = mem::take(&mut self.open);
        // Of the step nothing is left in there.
        drop(self.home.go_inside(mem::replace(&mut self.inside, Inside::Nothing)));
    }
}
