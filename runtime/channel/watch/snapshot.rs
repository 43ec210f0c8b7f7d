//! A value as it was when somebody looked.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// A value of a [`watch::channel`](super::channel), as it was when it was borrowed. It costs a count and stands in nobody's way;
/// it can be kept as long as one likes.
///
/// # asyncio
/// No counterpart: a reference.
#[must_use]
pub struct Snapshot<T> {
    value: Rc<T>,
    is_new: bool,
}

impl<T> Snapshot<T> {
    pub(super) fn new(value: Rc<T>, is_new: bool) -> Self {
        Snapshot { value, is_new }
    }

    /// Had the receiver not seen it before? Always false if a sender looked.
    ///
    /// An associated function, so that it hides no method of the value.
    #[must_use]
    pub fn is_new(this: &Self) -> bool {
        this.is_new
    }

    /// The value, if this is the last reference to it: it was replaced, and nobody else holds a snapshot. Else the snapshot.
    ///
    /// # Errors
    /// The snapshot, if there are other references.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::watch::{self, Snapshot};
    ///
    /// let (sender, receiver) = watch::channel(String::from("a"));
    /// let former = sender.send_replace(String::from("b"));
    /// assert_eq!(Snapshot::try_unwrap(former).unwrap(), "a");
    /// assert!(Snapshot::try_unwrap(receiver.borrow()).is_err(), "it is in the channel");
    /// ```
    pub fn try_unwrap(this: Self) -> Result<T, Self> {
        let is_new = this.is_new;
        Rc::try_unwrap(this.value).map_err(|value| Snapshot { value, is_new })
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> AsRef<T> for Snapshot<T> {
    fn as_ref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Snapshot { value: self.value.clone(), is_new: self.is_new }
    }
}

impl<T: fmt::Debug> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&**self).finish()
    }
}
