//! The end that looks, and waits for changes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::{Shared, Snapshot};
use crate::channel::error::RecvError;
use crate::kernel::{Place, Standing};

/// Looks at the value and waits for changes; made by [`channel`](super::channel) and
/// [`Sender::subscribe`](super::Sender::subscribe). A clone has seen what the original has seen.
///
/// # asyncio
/// Who waits for a condition.
#[must_use = "a receiver that is dropped tells the senders that nobody looks"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The number of the last value that it has seen.
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Rc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        Receiver { shared, seen }
    }

    /// The value as it is now. It does not count as seen: [`changed`](Receiver::changed) still reports it.
    ///
    /// # Panics
    /// Inside of the closure of [`send_modify`](super::Sender::send_modify).
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::watch::channel(1);
    /// assert_eq!(*receiver.borrow(), 1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn borrow(&self) -> Snapshot<T> {
        Snapshot::new(self.shared.latest(), self.is_behind())
    }

    /// The value as it is now, which counts as seen.
    ///
    /// # Panics
    /// Inside of the closure of [`send_modify`](super::Sender::send_modify).
    ///
    /// # Examples
    /// ```
    /// let (sender, mut receiver) = evloop::channel::watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert!(!receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Snapshot<T> {
        let snapshot = self.borrow();
        self.mark_unchanged();
        snapshot
    }

    /// Is there a value that this receiver has not seen?
    ///
    /// # Errors
    /// [`RecvError`] if there is none and all senders are gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        match self.is_behind() {
            false if self.shared.senders.get() == 0 => Err(RecvError),
            is_behind => Ok(is_behind),
        }
    }

    /// The value counts as not seen: [`changed`](Receiver::changed) reports it at once.
    ///
    /// # Examples
    /// A loop that treats the first value as all others:
    /// ```
    /// use evloop::channel::watch;
    ///
    /// evloop::run(async {
    ///     let (sender, mut receiver) = watch::channel("first");
    ///     let _ = evloop::call_soon(move || sender.send("second").unwrap());
    ///     receiver.mark_changed();
    ///     let mut seen = Vec::new();
    ///     while receiver.changed().await.is_ok() {
    ///         seen.push(*receiver.borrow());
    ///     }
    ///     assert_eq!(seen, ["first", "second"]);
    /// });
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version.get().wrapping_sub(1);
    }

    /// The value counts as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.get();
    }

    /// Waits for a value that this receiver has not seen; it counts as seen then. Of several that come meanwhile only the latest
    /// is there.
    ///
    /// # Errors
    /// [`RecvError`] if there is none and all senders are gone.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future marks nothing as seen.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::watch::channel(1);
    ///     sender.send(2).unwrap();
    ///     receiver.changed().await.unwrap();
    ///     assert_eq!(*receiver.borrow(), 2);
    ///     drop(sender);
    ///     assert!(receiver.changed().await.is_err());
    /// });
    /// ```
    pub fn changed(&mut self) -> impl Future<Output = Result<(), RecvError>> {
        Changed { receiver: self, place: Place::new() }
    }

    /// Waits until the value is one for which `predicate` holds, and returns it; looks at once, then at each change. What it
    /// has looked at counts as seen.
    ///
    /// # Errors
    /// [`RecvError`] if it does not hold and all senders are gone.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes nothing; values for which `predicate` did not hold count as seen.
    ///
    /// # asyncio
    /// `await condition.wait_for(predicate)`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::watch::channel(0);
    ///     let _ = evloop::call_soon(move || sender.send(5).unwrap());
    ///     assert_eq!(*receiver.wait_for(|value| *value > 3).await.unwrap(), 5);
    /// });
    /// ```
    pub async fn wait_for(
        &mut self,
        mut predicate: impl FnMut(&T) -> bool,
    ) -> Result<Snapshot<T>, RecvError> {
        loop {
            let snapshot = self.borrow_and_update();
            if predicate(&snapshot) {
                return Ok(snapshot);
            }
            drop(snapshot); // else who modifies the value meanwhile would have to clone it
            self.changed().await?;
        }
    }

    /// Do both look at the same value?
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    fn is_behind(&self) -> bool {
        self.seen != self.shared.version.get()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::new(self.shared.clone(), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let rest = self.shared.receivers.get() - 1;
        self.shared.receivers.set(rest);
        if rest == 0 {
            self.shared.watchers.wake_all();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("changed", &self.is_behind()).finish_non_exhaustive()
    }
}

struct Changed<'a, T> {
    receiver: &'a mut Receiver<T>,
    place: Place,
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut changed = this.receiver.has_changed();
        if changed == Ok(false) {
            let line = &this.receiver.shared.line;
            if this.place.poll(line, cx.waker()) != Standing::InLine {
                this.place.enter(line, cx.waker());
            }
            // To clone the waker was foreign code, which may have sent.
            changed = this.receiver.has_changed();
        }
        match changed {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                this.receiver.mark_unchanged();
                Poll::Ready(Ok(()))
            }
            Err(gone) => Poll::Ready(Err(gone)),
        }
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        self.place.leave(&self.receiver.shared.line); // all are called at once: there is nothing to pass on
    }
}
