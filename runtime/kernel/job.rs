//! A job of the blocking pool, as its loop sees it.

use std::any::Any;
use std::panic;
use std::sync::atomic::Ordering;

use super::context::{LoopRef, RemoteRef};
use super::exception::{ErrorContext, default_handler, discard};
use super::proxy::post;

/// A running job of the blocking pool, as the loop's clock sees it; any thread may end it.
pub(crate) struct JobTicket {
    remote: RemoteRef,
}

impl JobTicket {
    /// Starts a job for the loop this thread is in.
    pub(crate) fn new(loop_ref: &LoopRef) -> Self {
        let remote = RemoteRef::new(loop_ref);
        remote.shared().jobs.fetch_add(1, Ordering::Relaxed);
        Self { remote }
    }
}

impl JobTicket {
    /// Tells the loop's exception handler about a panic that nobody waits for.
    pub(crate) fn report(&self, payload: Box<dyn Any + Send>) {
        if let Err(closed) = post(&self.remote, move || panic::resume_unwind(payload)) {
            let message = "a function given to to_thread panicked and nobody awaited it";
            let nobody: Box<dyn Any + Send> = Box::new(closed.to_string());
            default_handler(&ErrorContext::new(message, &*nobody, None));
            discard(nobody);
        }
    }
}

impl Drop for JobTicket {
    fn drop(&mut self) {
        let shared = self.remote.shared();
        shared.count_down(&shared.jobs);
    }
}
