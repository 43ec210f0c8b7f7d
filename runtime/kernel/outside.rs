//! Asking the outside: what the kernel has to say, and which timers are due. Whom it concerns is told.

use std::time::Duration;

use super::context::{Home, Shared};
use super::report::guarded;
use super::source::apply;
use super::task::is_task_waker;

/// Asks the kernel, for at most `timeout`, and tells those whom its answers concern, in their order.
pub(super) fn ask(home: &Home, shared: &Shared, timeout: Option<Duration>) -> std::io::Result<()> {
    home.reactor.wait(&shared.poller, timeout, |event| {
        let noted = home.slots.note(event, |waker| {
            if is_task_waker(&waker) {
                // It only puts the task into the FIFO, which will wait again.
                waker.wake_by_ref();
                return Some(waker);
            }
            guarded("a waker panicked", || waker.wake());
            None
        });
        if let Some((slot, rearm)) = noted {
            // It fails if the descriptor was closed behind our back: then there is nothing to watch.
            let _ = apply(slot, &shared.poller, rearm);
        }
    })
}

/// Fires the timers that are due; says whether there were any.
#[inline]
pub(super) fn fire_timers(home: &Home) -> bool {
    !home.timers.is_empty() && fire_due(home)
}

#[inline(never)]
fn fire_due(home: &Home) -> bool {
    home.timers.fire(home.time.now_ns(), &home.ready)
}
