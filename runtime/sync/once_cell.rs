//! A value that is made once, by the first who asks for it, while the others wait.
//!
//! Who makes it holds a [`Gate`]. If nothing comes of it, be it an error, a panic or a drop, leaving the gate calls the
//! next in line, who makes it then. When the value is there, all in line are called and nobody joins any more.

use std::cell::OnceCell as Slot;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::gate::Gate;
use super::stats::OnceCellStats;
use crate::kernel::Place;

/// A value that is set at most once, for which an `async` function may be awaited first.
///
/// Several tasks may ask for it at the same time: the first one makes it, the others wait for that. Share it between
/// tasks by `Rc<OnceCell<T>>`. For a value that somebody will bring of his own accord there is
/// [`Promise`](crate::Promise).
///
/// # asyncio
/// No counterpart. The names are those of `std::cell::OnceCell`.
///
/// # Examples
/// ```
/// use evloop::{OnceCell, gather, sleep, time::secs};
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let config = Rc::new(OnceCell::new());
///     let user = |name: &'static str| {
///         let config = config.clone();
///         async move {
///             let loaded = config.get_or_init(async || {
///                 sleep(secs(0)).await;
///                 format!("loaded by {name}")
///             });
///             loaded.await.clone()
///         }
///     };
///     let all = gather([user("first"), user("second")]).await.unwrap();
///     assert_eq!(all, ["loaded by first", "loaded by first"]);
/// });
/// ```
pub struct OnceCell<T> {
    value: Slot<T>,
    gate: Gate,
}

/// What one waits in.
const OPERATION: &str = "OnceCell::get_or_init";

impl<T> OnceCell<T> {
    /// Makes an empty cell.
    pub const fn new() -> Self {
        OnceCell { value: Slot::new(), gate: Gate::of(OPERATION) }
    }

    /// The value, if it is there.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it is there. The borrow proves that nobody else looks at it.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Takes the value out, if it is there: the cell is empty again. The borrow proves that nobody else looks at it, and
    /// nobody waits.
    ///
    /// # Examples
    /// ```
    /// let mut cell = evloop::OnceCell::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!((cell.take(), cell.set(2)), (None, Ok(())));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Ends the cell and returns its value.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Sets the value, unless there is one; all who wait get it. So does a task that is about to make one: what it
    /// comes to is dropped.
    ///
    /// # Errors
    /// Gives the value back if there is one.
    ///
    /// # Examples
    /// ```
    /// let cell = evloop::OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        self.gate.call_off();
        Ok(())
    }

    /// The value; if there is none, makes it by `init`, or waits until somebody else has.
    ///
    /// If the task that makes it is cancelled, or panics, the next one that waits makes it, by its own `init`. An
    /// `init` that asks for the value of its own cell waits for ever.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line, or drops its `init` and lets the next one make the value.
    pub async fn get_or_init(&self, init: impl AsyncFnOnce() -> T) -> &T {
        match self.get_or_try_init(async || Ok::<T, Infallible>(init().await)).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`get_or_init`](OnceCell::get_or_init), with an `init` that may fail.
    ///
    /// # Errors
    /// Those of this call's `init`; then the next one that waits makes the value, by its own.
    ///
    /// # Cancel safety
    /// As [`get_or_init`](OnceCell::get_or_init).
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let cell = evloop::OnceCell::new();
    ///     assert_eq!(cell.get_or_try_init(async || Err("no connection")).await, Err("no connection"));
    ///     assert_eq!(cell.get_or_try_init(async || Ok::<_, &str>(7)).await, Ok(&7));
    ///     assert_eq!(cell.get_or_try_init(async || Err("not called")).await, Ok(&7));
    /// });
    /// ```
    pub async fn get_or_try_init<E>(&self, init: impl AsyncFnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(turn) = (Wait { cell: self, place: Place::new() }).await {
            let made = init().await?;
            // If somebody else has set one meanwhile, that is the value.
            drop(self.set(made));
            drop(turn);
        }
        match self.get() {
            Some(value) => Ok(value),
            None => unreachable!("it was made, or there was no need to"),
        }
    }

    /// Is the value there, who makes it, and how many wait for it?
    pub fn stats(&self) -> OnceCellStats {
        let line = self.gate.line();
        OnceCellStats {
            is_set: self.get().is_some(),
            initializer: self.gate.holder(),
            waiters: line.len(),
            peak_waiters: line.peak(),
        }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        OnceCell::new()
    }
}

/// A cell whose value is there.
impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        OnceCell { value: Slot::from(value), gate: Gate::of(OPERATION) }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell")
            .field("value", &self.get())
            .field("waiters", &self.gate.line().len())
            .finish_non_exhaustive()
    }
}

/// Waits for the value, or for a turn to make it.
struct Wait<'a, T> {
    cell: &'a OnceCell<T>,
    place: Place,
}

impl<'a, T> Future for Wait<'a, T> {
    /// `None`: the value is there.
    type Output = Option<Turn<'a>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let cell = self.cell;
        if cell.value.get().is_some() {
            return Poll::Ready(None);
        }
        let is_in = cell.gate.poll_enter(&mut self.place, cx.waker());
        let turn = is_in.then(|| Turn(&cell.gate));
        // To clone the waker was foreign code, which may have set it.
        match turn {
            _ if cell.value.get().is_some() => Poll::Ready(None),
            None => Poll::Pending,
            turn => Poll::Ready(turn),
        }
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        self.cell.gate.give_up(&mut self.place);
    }
}

/// A turn to make the value; whatever becomes of it, the next in line is called, if there is one.
struct Turn<'a>(&'a Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}
