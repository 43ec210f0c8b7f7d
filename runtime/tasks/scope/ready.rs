//! Which children of a scope have been woken: one list, first come, first served.
//!
//! Children's wakers are real wakers: they may be kept anywhere and called on any thread. So the list is the
//! one thing of a scope that is shared, behind a lock that is held for a push or a swap and never while
//! foreign code runs.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Names a child; `born` never repeats within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildKey {
    pub(super) index: usize,
    pub(super) born: u64,
}

impl ChildKey {
    /// The body of the scope, which has no slot.
    pub(super) const BODY: Self = Self { index: usize::MAX, born: 0 };
}

#[derive(Debug, Default)]
pub(super) struct ReadyList {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    woken: VecDeque<ChildKey>,
    /// Of the task that polls the scope; taken by the first wake after a poll.
    waker: Option<Waker>,
    closed: bool,
}

/// What a child's wakers refer to.
#[derive(Debug)]
pub(super) struct Bell {
    list: Arc<ReadyList>,
    key: ChildKey,
    /// It stands in the list, or its child has ended: nothing to be done.
    rung: AtomicBool,
}

impl ReadyList {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has been woken until now, given to the caller; whatever comes from here on wakes `waker`.
    pub(super) fn take(&self, waker: &Waker) -> VecDeque<ChildKey> {
        // Cloned and dropped outside of the lock: wakers are foreign.
        let fresh = waker.clone();
        let (woken, former) = {
            let mut state = self.lock();
            (mem::take(&mut state.woken), state.waker.replace(fresh))
        };
        drop(former);
        woken
    }

    /// The child was woken.
    pub(super) fn push(&self, key: ChildKey) {
        let waker = {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            state.woken.push_back(key);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nobody polls any more. Children's wakers may live on.
    pub(super) fn close(&self) {
        let (woken, waker) = {
            let mut state = self.lock();
            state.closed = true;
            (mem::take(&mut state.woken), state.waker.take())
        };
        drop((woken, waker));
    }
}

impl Bell {
    /// The bell of a new child. It counts as rung: whoever made it puts the child into the list.
    pub(super) fn new(list: &Arc<ReadyList>, key: ChildKey) -> Arc<Self> {
        Arc::new(Self { list: list.clone(), key, rung: AtomicBool::new(true) })
    }

    /// The child is polled now: from here on a wake counts again. Acquire: the poll sees what was done
    /// before the wake that it answers.
    pub(super) fn reset(&self) {
        self.rung.swap(false, Ordering::Acquire);
    }

    /// The child has ended.
    pub(super) fn mute(&self) {
        self.rung.store(true, Ordering::Relaxed);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: what was done before this wake is seen by the poll that answers it, also if the child
        // stands in the list already.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.list.push(self.key);
        }
    }
}
