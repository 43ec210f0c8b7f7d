//! What other threads may ask of a loop.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::Ordering;

use super::context::{RemoteRef, current_loop, with_current};
use super::scheduler::Letter;
use super::task::callback::Callback;
use super::task::{arrive_in_callback, captured_context, travelling_context};

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
    /// `f` sees the [context variables](crate::ContextVar) of the caller whose values are `Send` and `Sync`.
    ///
    /// # asyncio
    /// `loop.call_soon_threadsafe(f)`.
    #[track_caller]
    pub fn call_soon(&self, f: impl FnOnce() + Send + 'static) -> Result<(), LoopClosed> {
        if self.is_current() {
            return call_soon_at_home(f, Location::caller());
        }
        let location = Location::caller();
        let letter = match travelling_context() {
            None => Callback::letter_at(f, location),
            Some(context) => {
                let in_context = move || {
                    let _entered = arrive_in_callback(context);
                    f();
                };
                Callback::letter_at(in_context, location)
            }
        };
        post_letter(&self.remote, letter)
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

pub(super) fn post(remote: &RemoteRef, f: impl FnOnce() + Send + 'static) -> Result<(), LoopClosed> {
    post_letter(remote, Callback::letter(f))
}

fn post_letter(remote: &RemoteRef, letter: Letter) -> Result<(), LoopClosed> {
    remote.shared().post(letter).map_err(|letter| {
        letter.discard();
        LoopClosed
    })
}

/// From the loop's own thread it is plain FIFO, behind the mail that has come.
fn call_soon_at_home(
    f: impl FnOnce() + 'static,
    location: &'static Location<'static>,
) -> Result<(), LoopClosed> {
    let scheduled = with_current(|block, home| {
        if home.closing.get() {
            return Err(LoopClosed);
        }
        home.mail_first(block.shared());
        Callback::new_at(f, location).within(captured_context()).schedule(home);
        Ok(())
    });
    scheduled.unwrap_or(Err(LoopClosed))
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

/// A wait for what other threads do, as the clock of the loop in which it is waited sees it: a proxy, as long as it
/// lasts. The real clock does not look, so nothing is counted for it; but debug mode does, to know whether anybody can
/// still wake the loop.
#[derive(Debug, Default)]
pub(crate) struct OutsideWait(Option<LoopProxy>);

impl OutsideWait {
    /// To be called at each poll that is pending: a future may be polled by another loop than before.
    #[inline]
    pub(crate) fn begin(&mut self) {
        let matters = with_current(|_, home| home.time.is_virtual() || home.debug.is_on()) == Some(true);
        if self.0.is_some() || matters {
            self.count(matters);
        }
    }

    #[cold]
    fn count(&mut self, matters: bool) {
        if !self.0.as_ref().is_some_and(LoopProxy::is_current) {
            self.0 =
                current_loop().filter(|_| matters).map(|loop_ref| LoopProxy::new(RemoteRef::new(&loop_ref)));
        }
    }

    #[inline]
    pub(crate) fn end(&mut self) {
        if self.0.is_some() {
            self.0 = None;
        }
    }
}
