//! What other threads may ask of a loop.

use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering;

use super::context::{RemoteRef, with_current};
use super::remote_task::{self, RemoteTask};
use super::task::callback::Callback;

/// A loop, for other threads: `Send + Sync`, cheap to clone.
///
/// While a proxy exists, a loop on the virtual clock lets its time pass at real pace: something may come.
///
/// # asyncio
/// `loop.call_soon_threadsafe` and `asyncio.run_coroutine_threadsafe`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let proxy = evloop::get_running_loop().unwrap().proxy();
///     let done = evloop::Promise::new();
///     let thread = std::thread::spawn(move || {
///         // Built on the loop's thread, so the future need not be `Send`; its output must be.
///         let task = proxy.create_task(|| async { 6 * 7 });
///         task.join().unwrap()
///     });
///     let _ = done.set_result(());
///     assert_eq!(evloop::to_thread(move || thread.join().unwrap()).await, 42);
/// });
/// ```
pub struct LoopProxy {
    remote: RemoteRef,
}

/// The loop is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopClosed;

impl fmt::Display for LoopClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event loop is closed; nothing can be scheduled on it any more")
    }
}

impl Error for LoopClosed {}

impl LoopProxy {
    pub(super) fn new(remote: RemoteRef) -> Self {
        remote.shared().proxies.fetch_add(1, Ordering::Relaxed);
        Self { remote }
    }

    /// Calls `f` on the loop's thread, in the next iteration, in order of the calls; wakes the loop.
    ///
    /// # Errors
    /// [`LoopClosed`] if the loop was dropped; `f` is dropped then. A loop that is dropped later drops
    /// what it has not run.
    ///
    /// # asyncio
    /// `loop.call_soon_threadsafe(f)`.
    pub fn call_soon(&self, f: impl FnOnce() + Send + 'static) -> Result<(), LoopClosed> {
        self.remote.shared().post(Callback::letter(f)).map_err(|letter| {
            letter.discard();
            LoopClosed
        })
    }

    /// Starts a task on the loop's thread: `make` is called there, so the future it makes need not be
    /// `Send`. If the loop is gone, or ends before the task, the task ends cancelled.
    ///
    /// # asyncio
    /// `asyncio.run_coroutine_threadsafe(coro, loop)`.
    #[track_caller]
    pub fn create_task<F, Fut>(&self, make: F) -> RemoteTask<Fut::Output>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        remote_task::start(self.clone(), make)
    }

    /// Stops the loop, as [`LoopHandle::stop`](crate::LoopHandle::stop).
    ///
    /// # Errors
    /// [`LoopClosed`] if the loop was dropped.
    pub fn stop(&self) -> Result<(), LoopClosed> {
        self.call_soon(|| {
            with_current(|_, home| home.stopping.set(true));
        })
    }

    pub(super) fn is_current(&self) -> bool {
        self.remote.is_current()
    }
}

impl Clone for LoopProxy {
    fn clone(&self) -> Self {
        Self::new(self.remote.clone())
    }
}

impl Drop for LoopProxy {
    fn drop(&mut self) {
        let shared = self.remote.shared();
        shared.count_down(&shared.proxies);
    }
}

impl fmt::Debug for LoopProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopProxy").field("id", &self.remote.shared().id).finish()
    }
}

/// A running job of the blocking pool, as the loop's clock sees it; any thread may end it.
pub(crate) struct JobTicket {
    remote: RemoteRef,
}

impl JobTicket {
    /// Starts a job for the loop this thread is in.
    pub(crate) fn new(loop_ref: &super::context::LoopRef) -> Self {
        let remote = RemoteRef::new(loop_ref);
        remote.shared().jobs.fetch_add(1, Ordering::Relaxed);
        Self { remote }
    }
}

impl Drop for JobTicket {
    fn drop(&mut self) {
        let shared = self.remote.shared();
        shared.count_down(&shared.jobs);
    }
}
