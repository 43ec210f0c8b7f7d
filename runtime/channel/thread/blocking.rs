//! Awaiting with a thread instead of a task.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::kernel::atomic::{Condvar, Mutex, MutexGuard};
use crate::kernel::{Spin, real_now, with_current};

/// A thread that waits, or is about to.
struct Parked {
    state: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    asleep: bool,
    woken: bool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        state.woken = true;
        let asleep = state.asleep;
        drop(state);
        // Each ring is a system call, also if nobody hears it.
        if asleep {
            self.bell.notify_one();
        }
    }
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was woken, said once.
    fn take_call(&self) -> Option<()> {
        mem::take(&mut self.lock().woken).then_some(())
    }

    /// Until it is woken, or until the deadline. Says whether it was woken.
    fn park(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.asleep = true;
        while !state.woken {
            state = match deadline {
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(real_now());
                    if left.is_zero() {
                        break;
                    }
                    self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        mem::take(&mut *state).woken
    }
}

thread_local! {
    /// What this thread knows of its sleeps here.
    static SPIN: Spin = const { Spin::new() };
}

/// Blocks this thread until the future is ready; `None` if it is not within `timeout`, where there is one.
pub(super) fn block_on<F: Future + Unpin>(mut future: F, timeout: Option<Duration>) -> Option<F::Output> {
    let parked = Arc::new(Parked { state: Mutex::new(Waiting::default()), bell: Condvar::new() });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    // A deadline too far to be told never comes.
    let deadline = timeout.and_then(|timeout| real_now().checked_add(timeout));
    loop {
        // Before the poll: what is ready at the deadline is in time.
        let late = deadline.is_some_and(|deadline| real_now() >= deadline);
        match Pin::new(&mut future).poll(&mut cx) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if late => return None,
            Poll::Pending => SPIN.with(|spin| {
                let mut sleep = deadline.map(|deadline| deadline.saturating_duration_since(real_now()));
                if spin.watch(&mut sleep, || parked.take_call()).is_none() {
                    spin.slept(parked.park(deadline));
                }
            }),
        }
    }
}

/// Panics where blocking would stop a loop.
#[track_caller]
pub(super) fn assert_off_loop(method: &str, instead: &str) {
    assert!(
        with_current(|_, _| ()).is_none(),
        "{method}() would stop the event loop that runs on this thread; {instead}"
    );
}
