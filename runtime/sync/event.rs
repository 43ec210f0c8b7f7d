//! A flag that many wait for.
//!
//! Being called *is* the answer of a waiter: `set` takes all out of the line, and what becomes of the flag before
//! they run does not matter to them.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::stats::EventStats;
use crate::kernel::{Place, Standing, WaitList};

/// A flag; tasks wait until somebody sets it.
///
/// Share it between tasks by `Rc<Event>`. For something that happens once and has a value there is
/// [`Promise`](crate::Promise).
///
/// # asyncio
/// `asyncio.Event`.
///
/// # Examples
/// ```
/// use evloop::Event;
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let ready = Rc::new(Event::new());
///     let waiter = evloop::create_task({
///         let ready = ready.clone();
///         async move { ready.wait().await }
///     });
///     evloop::yield_now().await;
///     assert!(!waiter.done());
///     ready.set();
///     waiter.await.unwrap();
///     ready.wait().await; // at once, until somebody clears it
/// });
/// ```
#[doc(alias = "Notify")]
pub struct Event {
    is_set: Cell<bool>,
    line: WaitList,
}

impl Event {
    /// Makes an event that is not set.
    ///
    /// # asyncio
    /// `asyncio.Event()`.
    pub const fn new() -> Self {
        Event { is_set: Cell::new(false), line: WaitList::of("Event::wait") }
    }

    /// Sets the flag and wakes all who wait now, in the order in which they came. They run later; whoever calls
    /// [`wait`](Event::wait) meanwhile does not wait and is earlier. Nothing happens if the flag is set.
    ///
    /// # asyncio
    /// `event.set()`.
    pub fn set(&self) {
        if !self.is_set.replace(true) {
            self.line.wake_all();
        }
    }

    /// Unsets the flag: who waits from now on waits for the next [`set`](Event::set). Who was woken stays woken.
    ///
    /// # asyncio
    /// `event.clear()`.
    ///
    /// # Examples
    /// ```
    /// let event = std::rc::Rc::new(evloop::Event::new());
    /// evloop::run(async {
    ///     let waiter = evloop::create_task({
    ///         let event = event.clone();
    ///         async move { event.wait().await }
    ///     });
    ///     evloop::yield_now().await;
    ///     event.set();
    ///     event.clear(); // the waiter does not mind
    ///     waiter.await.unwrap();
    ///     assert!(!event.is_set());
    /// });
    /// ```
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Is the flag set?
    ///
    /// # asyncio
    /// `event.is_set()`.
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until the flag is set; does not wait if it is.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line and the flag as it is.
    ///
    /// # asyncio
    /// `await event.wait()`, without the `True`.
    pub fn wait(&self) -> impl Future<Output = ()> {
        Wait { event: self, place: Place::new() }
    }

    /// Is the flag set, and how many wait?
    ///
    /// # asyncio
    /// No counterpart.
    pub fn stats(&self) -> EventStats {
        EventStats { is_set: self.is_set(), waiters: self.line.len(), peak_waiters: self.line.peak() }
    }
}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).field("waiters", &self.line.len()).finish()
    }
}

struct Wait<'a> {
    event: &'a Event,
    place: Place,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let event = self.event;
        match self.place.poll(&event.line, cx.waker()) {
            Standing::InLine => return Poll::Pending,
            Standing::Called => return Poll::Ready(()),
            Standing::Outside => {}
        }
        if event.is_set() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        // To clone it was foreign code, which may have set the flag.
        if event.is_set() {
            return Poll::Ready(());
        }
        self.place.enter_as(&event.line, waker);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // All are called at once: there is nobody that a call could be passed on to.
        self.place.leave(&self.event.line);
    }
}
