//! The end that sets the value.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use super::{MODIFIES, Receiver, Shared, Snapshot};
use crate::channel::deserted::Deserted;
use crate::channel::error::SendError;

/// Sets the value; made by [`channel`](super::channel). Clones set the same one.
///
/// # asyncio
/// Who holds the condition, changes the attribute and calls `notify_all()`.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }

    /// Sets the value and wakes all who wait for a change. They run later and see the value that is the latest then.
    ///
    /// # Errors
    /// [`SendError`] with the value if there is no receiver; the value in the channel stays. To set it all the same, use
    /// [`send_replace`](Sender::send_replace).
    ///
    /// # Panics
    /// Inside of the closure of [`send_modify`](Sender::send_modify).
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::watch::channel(1);
    /// let before = receiver.borrow();
    /// sender.send(2).unwrap();
    /// assert_eq!((*before, *receiver.borrow()), (1, 2));
    /// drop(receiver);
    /// assert_eq!(sender.send(3).unwrap_err().0, 3);
    /// ```
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.shared.replace(value)); // the value's own code, last
        Ok(())
    }

    /// Sets the value, also if there is no receiver, and returns the one before.
    ///
    /// # Panics
    /// Inside of the closure of [`send_modify`](Sender::send_modify).
    ///
    /// # Examples
    /// ```
    /// let (sender, _) = evloop::channel::watch::channel(1);
    /// assert_eq!(*sender.send_replace(2), 1);
    /// assert_eq!(*sender.borrow(), 2);
    /// ```
    #[track_caller]
    pub fn send_replace(&self, value: T) -> Snapshot<T> {
        Snapshot::new(self.shared.replace(value), false)
    }

    /// Changes the value in place, also if there is no receiver, and wakes all who wait for a change.
    ///
    /// Where somebody holds a snapshot of the value, it is changed in a clone, and the snapshot stays what it is. If the
    /// closure panics the value is as it has left it, and nobody is woken.
    ///
    /// # Panics
    /// If the closure looks at the channel, sets it or modifies it; it has the value as its argument.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// As [`send_modify`](Sender::send_modify), and nobody is woken if the closure returns false. Returns what it returned.
    ///
    /// # Panics
    /// If the closure looks at the channel, sets it or modifies it; it has the value as its argument.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::watch::channel(5);
    /// let raise_to = |n| sender.send_if_modified(|value| n > *value && { *value = n; true });
    /// assert!(!raise_to(3));
    /// assert!(!receiver.has_changed().unwrap());
    /// assert!(raise_to(7));
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        /// Has the value while the closure runs, which is foreign code; puts it back even if that panics.
        struct Out<'a, T>(&'a Shared<T>, Option<Rc<T>>);
        impl<T> Drop for Out<'_, T> {
            fn drop(&mut self) {
                *self.0.value.borrow_mut() = self.1.take();
            }
        }
        let shared = &*self.shared;
        let latest = shared.value.take().expect(MODIFIES);
        let mut out = Out(shared, Some(latest));
        let is_modified = out.1.as_mut().is_some_and(|latest| modify(Rc::make_mut(latest)));
        drop(out);
        if is_modified {
            shared.announce();
        }
        is_modified
    }

    /// The value as it is now.
    ///
    /// # Panics
    /// Inside of the closure of [`send_modify`](Sender::send_modify).
    #[track_caller]
    pub fn borrow(&self) -> Snapshot<T> {
        Snapshot::new(self.shared.latest(), false)
    }

    /// Makes a receiver that has seen the value as it is now.
    ///
    /// # Examples
    /// ```
    /// let (sender, _) = evloop::channel::watch::channel(1);
    /// assert!(sender.is_closed(), "nobody looks");
    /// let receiver = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone(), self.shared.version.get())
    }

    /// Waits until there is no receiver. It is done even if there is one again when this task runs.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, receiver) = evloop::channel::watch::channel(());
    ///     let _ = evloop::call_soon(move || drop(receiver));
    ///     sender.closed().await; // nobody looks any more
    /// });
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> {
        Deserted::new(&self.shared.receivers, &self.shared.watchers)
    }

    /// Is there no receiver?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// Do both set the same value?
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender::new(self.shared.clone())
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        super::channel(T::default()).0
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let rest = self.shared.senders.get() - 1;
        self.shared.senders.set(rest);
        if rest == 0 {
            self.shared.line.wake_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("senders", &self.shared.senders.get())
            .field("receivers", &self.receiver_count())
            .field("waiting", &self.shared.line.len())
            .finish_non_exhaustive()
    }
}
