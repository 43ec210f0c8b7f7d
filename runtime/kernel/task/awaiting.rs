//! Who waits for a task: the header's slot for the first awaiter, the side box's list once others come.
//!
//! Both keep the order of registration, since asyncio's order of wake-ups is that order (O06, O08).

use std::mem;
use std::task::{Context, Waker};

use super::attached::Side;
use super::handle::TaskRef;
use super::header::{Header, TaskPtr};
use super::waiters::Waiter;
use super::waker;
use crate::kernel::debug::probe;

/// An awaiter's place in the list of those who wait for a task.
#[derive(Debug)]
pub(crate) struct Awaiting(u64);

/// Not in the list.
pub(super) const NOWHERE: u64 = 0;
/// In the header's slot, or, once others came, in the list under this number.
const FIRST: u64 = 1;

impl Awaiting {
    pub(crate) const fn new() -> Self {
        Self(NOWHERE)
    }

    /// Enters the list, or says whom to wake from now on. The task is unfinished.
    pub(crate) fn register(&mut self, task: &TaskRef, cx: &Context<'_>) {
        let header = task.header();
        let own = home_task_of(cx.waker(), task);
        if self.0 == FIRST && header.attached.joiner().is_some() {
            if header.attached.joiner() == own {
                say(task);
                return;
            }
            self.leave(task);
        }
        if self.0 == NOWHERE {
            let alone = header.attached.joiner().is_none()
                && header.attached.side_if_any(|side| side.waiters.is_none()).unwrap_or(true);
            match own.filter(|_| alone) {
                Some(awaiter) => {
                    // SAFETY: it is the task being polled, or one that its waker keeps alive; at home.
                    unsafe { awaiter.state() }.clone_at_home();
                    header.attached.set_joiner(awaiter);
                    self.0 = FIRST;
                }
                None => self.0 = push_waiter(header, Waiter::Awaiter(cx.waker().clone())),
            }
            return;
        }
        say(task);
        let id = self.0;
        let known = header.attached.side(|side| match find(side, id) {
            Some(Waiter::Awaiter(waker)) => waker.will_wake(cx.waker()),
            _ => false,
        });
        if !known {
            let mut next = Some(Waiter::Awaiter(cx.waker().clone()));
            let former = header
                .attached
                .side(|side| find(side, id).and_then(|w| next.take().map(|n| mem::replace(w, n))));
            drop((former, next));
        }
    }

    /// Leaves the list.
    pub(crate) fn leave(&mut self, task: &TaskRef) {
        let header = task.header();
        match mem::replace(&mut self.0, NOWHERE) {
            NOWHERE => {}
            id => {
                if id == FIRST
                    && let Some(joiner) = header.attached.take_joiner()
                {
                    // SAFETY: counted by `register`, at home.
                    return unsafe { joiner.release_at_home() };
                }
                drop(remove_waiter(header, id));
            }
        }
    }
}

/// Says whom the awaiter waits for.
fn say(task: &TaskRef) {
    probe::waits_for_tasks("the end of", || vec![task.id()]);
}

/// The task behind a waker, if it is one of `task`'s own loop and this is its home.
fn home_task_of(waker: &Waker, task: &TaskRef) -> Option<TaskPtr> {
    if !std::ptr::eq(waker.vtable(), &waker::VTABLE) {
        return None;
    }
    // SAFETY: our vtable's data; the waker keeps the task alive.
    let awaiter = unsafe { TaskPtr::from_data(waker.data()) };
    // SAFETY: both alive.
    let (theirs, ours) = unsafe { (awaiter.block(), task.task.block()) };
    (std::ptr::eq(theirs, ours) && ours.is_current()).then_some(awaiter)
}

fn find(side: &mut Side, id: u64) -> Option<&mut Waiter> {
    side.waiters.as_mut()?.get_mut(id)
}

/// Appends to the list; whoever sits in the slot comes first.
pub(super) fn push_waiter(header: &Header, waiter: Waiter) -> u64 {
    let first = header.attached.take_joiner().map(|joiner| {
        // SAFETY: the slot's counted reference becomes the waker's.
        Waiter::Awaiter(unsafe { Waker::new(joiner.as_data(), &waker::VTABLE) })
    });
    header.attached.side(|side| {
        side.next_waiter = side.next_waiter.max(FIRST) + 1;
        let id = side.next_waiter;
        let list = side.waiters.get_or_insert_default();
        if let Some(first) = first {
            list.push(FIRST, first);
        }
        list.push(id, waiter);
        id
    })
}

pub(super) fn remove_waiter(header: &Header, id: u64) -> Option<Waiter> {
    header.attached.side_if_any(|side| side.waiters.as_mut()?.remove(id)).flatten()
}
