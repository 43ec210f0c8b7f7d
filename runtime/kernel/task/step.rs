//! A task's step: what happens when its turn comes, and how it ends.
//!
//! QUEUED is cleared before the poll, so a wake during the poll simply appends the task again. A panic
//! ends its task, never the loop.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::callback;
use super::cancel;
use super::current::{drop_context, enter_guarded, leave_guarded, run_guarded_in};
use super::error::{CancelledError, Panic, SeenPanic, TaskError};
use super::handle::TaskRef;
use super::header::TaskPtr;
use super::raw::{error_place, store_error};
use super::state::{
    CANCEL, CANCELLED, CONTEXT, DONE, FAILED, FUTURE, JOIN, OFFER, OUTPUT, PANICKED, QUEUED, STARTED, Then,
    UNSEEN_PANIC, WOKEN,
};
use super::waiters::{Waiter, Waiters};
use crate::kernel::context::{BUDGET, Home};
use crate::kernel::debug;
use crate::kernel::exception::{ErrorContext, discard as discard_payload};
use crate::kernel::report::{guarded, report};
use crate::kernel::scheduler::{Entry, ReadyList};
use crate::kernel::scope::tree::NIL;

/// The vtable's `run`: one step.
///
/// # Safety
/// `entry` is a task's, alive, at home, and the list's claim on it is given to this call.
pub(super) unsafe fn run(entry: NonNull<Entry>) {
    // SAFETY: a task's entry.
    let task = unsafe { TaskPtr::from_entry(entry) };
    // SAFETY: alive by the list's claim, and from here on because it is unfinished and in the table.
    let header = unsafe { task.header() };
    let flags = header.state.flags();
    header.state.clear(QUEUED | WOKEN);
    if flags & DONE != 0 {
        // SAFETY: at home; the claim ends here.
        return unsafe { settle(task) };
    }
    // SAFETY: alive.
    let Some(home) = unsafe { task.block() }.home_if_current() else { return };
    home.begin_step();
    home.budget.set(BUDGET);
    // SAFETY: alive, at home, unfinished, and no poll of it is under way: its step is this.
    unsafe { step(task, home, flags) };
}

/// One step, of a task that is in no step and not in the FIFO; `flags` are its state's.
///
/// # Safety
/// Alive, at home, unfinished, not being polled.
// Called from two places, one of which is every step.
#[inline(always)]
pub(super) unsafe fn step(task: TaskPtr, home: &Home, flags: u32) {
    let within = Within::enter(home, task.entry());
    let ended = if flags & (CANCEL | OFFER | CONTEXT) == 0 {
        // SAFETY: the caller's duty: its step is this.
        unsafe { poll(task) || passes_on(task, home) }
    } else {
        // SAFETY: as above.
        unsafe { poll_unusual(task, home, flags) }
    };
    drop(within);
    if ended {
        // SAFETY: alive, at home, and it has just ended.
        unsafe { finish(task, home) };
    }
}

/// After a poll: passes on what was raised to the root, if there is something and nothing is in its way. `true`:
/// the task has its output.
///
/// # Safety
/// As [`step`]; the task is not being polled any more.
// A look that is part of every step.
#[inline(always)]
unsafe fn passes_on(task: TaskPtr, home: &Home) -> bool {
    // SAFETY: alive.
    let root = unsafe { task.header() }.root.get();
    // SAFETY: the caller's duty.
    root != NIL && home.scopes.borrow().is_ready(root) && unsafe { cancel::settle_raised(task, home) }
}

/// A poll in a context, or with a request.
///
/// # Safety
/// As [`step`].
#[inline(never)]
unsafe fn poll_unusual(task: TaskPtr, home: &Home, flags: u32) -> bool {
    // SAFETY: alive.
    let context = unsafe { task.header() }.context();
    let entered = context.as_ref().filter(|context| context.wants_to_be_entered()).map(enter_guarded);
    let ended = if flags & (CANCEL | OFFER) == 0 {
        // SAFETY: the caller's duty.
        unsafe { poll(task) || passes_on(task, home) }
    } else {
        // SAFETY: the caller's duty.
        unsafe { cancel::poll_offered(task, home) || passes_on(task, home) }
    };
    if let Some(entered) = entered {
        leave_guarded(entered);
    }
    ended
}

/// While it lives, the loop is in the step of a task. A guard, because the task may be freed afterwards:
/// whatever goes wrong, nobody must find it here then.
struct Within<'a> {
    home: &'a Home,
    task_before: Option<NonNull<Entry>>,
    node_before: u32,
}

impl<'a> Within<'a> {
    #[inline]
    fn enter(home: &'a Home, task: NonNull<Entry>) -> Self {
        let task_before = home.current_task.replace(Some(task));
        Self { home, task_before, node_before: home.current_node.replace(NIL) }
    }
}

impl Drop for Within<'_> {
    #[inline]
    fn drop(&mut self) {
        self.home.current_node.set(self.node_before);
        self.home.current_task.set(self.task_before);
    }
}

/// Polls the future once; `true` if the task has its output now.
///
/// # Safety
/// Alive, at home, unfinished, not being polled.
#[inline]
pub(super) unsafe fn poll(task: TaskPtr) -> bool {
    // SAFETY: alive.
    let (state, vtable) = unsafe { (task.state(), task.vtable()) };
    state.set(STARTED);
    // SAFETY: the task outlives this call, and the waker is never dropped.
    let waker = unsafe { task.borrowed_waker() };
    let mut cx = Context::from_waker(&waker);
    // SAFETY: the caller's duty; unfinished, hence the stage holds the future.
    let result = panic::catch_unwind(AssertUnwindSafe(|| unsafe { (vtable.poll)(task, &mut cx) }));
    match result {
        Ok(Poll::Pending) => false,
        Ok(Poll::Ready(())) => true,
        Err(payload) => {
            // SAFETY: the caller's duty.
            unsafe { end_panicked(task, payload) };
            true
        }
    }
}

/// Ends the task with what its poll panicked with.
///
/// # Safety
/// Alive, at home, unfinished, not being polled.
#[cold]
unsafe fn end_panicked(task: TaskPtr, payload: Box<dyn Any + Send>) {
    // SAFETY: alive.
    let header = unsafe { task.header() };
    // SAFETY: alive.
    if let Some(home) = unsafe { task.block() }.home_if_current().filter(|home| home.debug.is_on()) {
        let live = home.live.borrow().get(header.live.get() as usize).copied();
        header.attached.side(|side| side.location = live.map(|live| live.location));
    }
    // SAFETY: the caller's duty.
    unsafe { drop_future(task, "a destructor panicked while its task was panicking") };
    let (panic, flags) = match payload.downcast::<SeenPanic>() {
        Ok(seen) => (seen.0, PANICKED),
        Err(payload) => (Panic::new(payload), PANICKED | UNSEEN_PANIC),
    };
    // SAFETY: alive.
    unsafe { task.state() }.set(flags);
    // SAFETY: the future is gone and there is no output.
    unsafe { store_error(task, TaskError::Panicked(panic)) };
}

/// Ends the task as cancelled: drops the future and leaves the error.
///
/// # Safety
/// Alive, at home, unfinished, not being polled.
pub(super) unsafe fn end_cancelled(task: TaskPtr) {
    // SAFETY: the caller's duty.
    unsafe { drop_future(task, "a destructor panicked while its task was cancelled") };
    // SAFETY: alive.
    let header = unsafe { task.header() };
    let message = header.attached.side_if_any(|side| side.message.clone()).flatten();
    header.state.set(CANCELLED);
    // SAFETY: the future is gone and there is no output.
    unsafe { store_error(task, TaskError::Cancelled(CancelledError::new(message))) };
}

/// Drops the future if it is still there.
///
/// # Safety
/// Alive, at home, not being polled.
unsafe fn drop_future(task: TaskPtr, if_it_panics: &str) {
    // SAFETY: alive.
    if unsafe { task.state() }.has(FUTURE) {
        // SAFETY: the flag says that the stage holds it.
        guarded(if_it_panics, || unsafe { (task.vtable().drop_future)(task) });
    }
}

/// The task has its output: takes it out of the table and tells who waits.
///
/// # Safety
/// Alive, at home, ended just now.
#[inline(never)]
pub(super) unsafe fn finish(task: TaskPtr, home: &Home) {
    // SAFETY: alive until `settle` below.
    let header = unsafe { task.header() };
    let state = &header.state;
    // QUEUED keeps the memory while foreign code runs below, which may drop references to this task.
    let was_queued = state.has(QUEUED);
    state.set(DONE | QUEUED);
    state.clear(CANCEL | OFFER);
    home.live.borrow_mut().remove(header.live.get() as usize);
    let root = header.root.replace(NIL);
    if root != NIL {
        forget_scopes(home, root);
    }
    if let Some(joiner) = header.attached.take_joiner() {
        // SAFETY: a joiner is counted like a waker, at home, and is a task of this loop.
        unsafe {
            joiner.wake_at_home(&home.ready);
            joiner.release_at_home();
        }
    }
    if let Some(waiters) = header.attached.side_if_any(|side| side.waiters.take()).flatten() {
        // SAFETY: the caller's duty.
        unsafe { tell(task, home, waiters) };
    }
    if !state.has(JOIN) {
        if state.has(CONTEXT) {
            // SAFETY: the caller's duty, and nobody else can take the output.
            unsafe { drop_output_and_context(task) };
        } else if state.has(OUTPUT) {
            // SAFETY: as above.
            unsafe { drop_output(task) };
        }
    }
    if !was_queued {
        state.clear(QUEUED);
        // SAFETY: at home.
        unsafe { settle(task) };
    }
}

/// Takes what is left of a task's scopes out of the tree.
#[inline(never)]
fn forget_scopes(home: &Home, root: u32) {
    let wakers = home.scopes.borrow_mut().remove_root(root);
    for waker in wakers {
        guarded("a waker panicked when it was dropped", || drop(waker));
    }
}

/// Tells those in the side box's list, in order of registration.
///
/// # Safety
/// Alive, at home.
#[inline(never)]
unsafe fn tell(task: TaskPtr, home: &Home, waiters: Waiters) {
    for waiter in waiters.into_all() {
        match waiter {
            Waiter::Awaiter(waker) => {
                guarded("a waker panicked", || waker.wake());
            }
            Waiter::Callback(f, context) if home.closing.get() => {
                guarded("a callback panicked when it was dropped", || drop(f));
                drop_context(context);
            }
            Waiter::Callback(f, context) => {
                // SAFETY: the caller's duty.
                let done = unsafe { TaskRef::of(task) };
                callback::Callback::new(move || f(&done)).within(context).schedule(home);
            }
        }
    }
}

/// Drops an output that nobody takes in the context of its task, as its future was, and then the context.
///
/// # Safety
/// Alive, at home, ended, and nobody else can take the output.
#[inline(never)]
unsafe fn drop_output_and_context(task: TaskPtr) {
    // SAFETY: alive.
    let header = unsafe { task.header() };
    if header.state.has(OUTPUT) {
        // SAFETY: alive.
        let has_destructor = unsafe { task.vtable() }.drop_output.is_some() && !header.state.has(FAILED);
        if has_destructor {
            let context = header.context();
            // SAFETY: the caller's duty.
            run_guarded_in(context.as_ref(), || unsafe { drop_output(task) });
        } else {
            // What reports a panic enters the context by itself.
            // SAFETY: the caller's duty.
            unsafe { drop_output(task) };
        }
    }
    drop_context(header.take_context());
}

/// Drops an output that nobody took; a panic in it is reported.
///
/// # Safety
/// Alive, at home, the stage holds the output.
#[inline(never)]
pub(super) unsafe fn drop_output(task: TaskPtr) {
    let message = "a destructor panicked while a task's unclaimed output was dropped";
    // SAFETY: alive.
    let state = unsafe { task.state() };
    debug_assert!(state.has(OUTPUT));
    let unseen = state.has(UNSEEN_PANIC);
    // First the flags: if a destructor panics, what it left must not be dropped again.
    state.clear(OUTPUT | UNSEEN_PANIC);
    if !state.has(FAILED) {
        // SAFETY: alive.
        if let Some(drop_output) = unsafe { task.vtable() }.drop_output {
            // SAFETY: the caller's duty; the flags said that it is a value, and say that it is not there any more.
            guarded(message, || unsafe { drop_output(task) });
        }
        return;
    }
    // SAFETY: as above: it is an error, and is read once.
    match *unsafe { error_place(task).read() } {
        // SAFETY: the caller's duty.
        TaskError::Panicked(panic) if unseen => unsafe { report_unseen(task, panic) },
        // The payload of a panic that was seen is foreign, too.
        seen => drop(guarded(message, || drop(seen))),
    }
}

/// Tells a panic that nobody has seen, in the context of the task.
///
/// # Safety
/// Alive, at home.
#[cold]
unsafe fn report_unseen(task: TaskPtr, panic: Panic) {
    // SAFETY: the caller's duty.
    let task = unsafe { TaskRef::of(task) };
    let (name, payload) = (task.name(), panic.into_payload());
    let created_at = task.header().attached.side_if_any(|side| side.location).flatten();
    run_guarded_in(task.context_if_any().as_ref(), || {
        let context = ErrorContext::new("a task panicked and nobody awaited it", &*payload, Some(&name));
        report(&context.created_at(created_at));
    });
    discard_payload(payload);
}

/// Frees a finished task that is neither queued nor owned, if nothing refers to it any more.
///
/// # Safety
/// Alive, at home; the caller's claim, if it had one, ends here.
unsafe fn settle(task: TaskPtr) {
    // SAFETY: alive.
    let state = unsafe { task.state() };
    if state.flags() & (DONE | QUEUED | JOIN) == DONE && state.settle() == Then::Free {
        // SAFETY: at home, and the state says so.
        unsafe { task.free_at_home() };
    }
}

/// The vtable's `discard`: the loop ends and the entry is still in the FIFO.
///
/// # Safety
/// As [`run`].
pub(super) unsafe fn discard(entry: NonNull<Entry>) {
    // SAFETY: a task's entry.
    let task = unsafe { TaskPtr::from_entry(entry) };
    // SAFETY: alive by the list's claim.
    unsafe { task.state() }.clear(QUEUED);
    // SAFETY: at home; the claim ends here.
    unsafe { settle(task) };
}

/// The vtable's `describe`.
///
/// # Safety
/// `entry` is a task's, alive, at home.
pub(super) unsafe fn describe(entry: NonNull<Entry>) -> debug::Step {
    // SAFETY: a task's entry, alive, at home.
    let task = unsafe { TaskRef::of(TaskPtr::from_entry(entry)) };
    debug::Step::Task(task.info())
}

/// The vtable's `deliver`: a wake from abroad has arrived.
///
/// # Safety
/// Alive by the letter's claim, at home.
pub(super) unsafe fn deliver(entry: NonNull<Entry>, ready: &ReadyList) {
    // SAFETY: a task's entry.
    let task = unsafe { TaskPtr::from_entry(entry) };
    // SAFETY: alive by the letter's claim.
    let state = unsafe { task.state() };
    // Looked at before the claim ends: a task that is done may be freed by another thread right after.
    let done = state.has(DONE);
    let then = state.letter_ends();
    if !done {
        // SAFETY: unfinished, hence alive, whatever references end meanwhile; at home.
        unsafe { task.wake_at_home(ready) };
    } else if then == Then::Free {
        // SAFETY: at home, and the state says so.
        unsafe { task.free_at_home() };
    }
}

/// The vtable's `discard_abroad`: the box was closed.
///
/// # Safety
/// Alive by the letter's claim; any thread.
pub(super) unsafe fn discard_abroad(entry: NonNull<Entry>) {
    // SAFETY: a task's entry.
    let task = unsafe { TaskPtr::from_entry(entry) };
    // SAFETY: alive by the letter's claim, which ends here.
    if unsafe { task.state() }.letter_ends() == Then::Free {
        // SAFETY: the state says so; counts are merged, else it could not have.
        unsafe { task.free_abroad() };
    }
}
