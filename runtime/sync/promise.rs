//! A value that arrives later: set once, awaited by many.
//!
//! All handles point to one `{ state, observers }`. `observers` is a single line of wakers and done
//! callbacks, in order of registration; completion takes them out one by one and wakes, or schedules
//! with `call_soon`. After that nobody joins the line: a done promise answers at once.
//!
//! A handle is a future itself. It keeps the key of its waker, so a clone waits for itself.
//!
//! It is *not* a channel between threads, and no task: nothing runs behind it.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::CancelledError;
use crate::kernel::{LoopHandle, WaitKey, WaitList, call_each, captured_context, probe};

/// A result that somebody will set: the bridge between callbacks and `await`.
///
/// Cheap to clone; all clones are handles of the same promise. Where `T: Clone`, a handle and a
/// reference to a handle can be awaited, any number of times; each await gets a clone of the value
/// or, if the promise was cancelled, a [`CancelledError`]. Wrap large values, or such as cannot be
/// cloned, in an `Rc`, or [wait](Promise::wait_done) and [take](Promise::take_result) the value.
/// To hand a value over to one task, [`channel::oneshot`](crate::channel::oneshot) is cheaper, and tells either side
/// when the other has given up.
///
/// # Cancel safety
/// Safe. Dropping an await takes nothing and leaves the promise as it is.
///
/// # asyncio
/// `asyncio.Future`. For `set_exception` let `T` be a `Result`. Deviations: cancelling a task that
/// awaits a promise does not cancel the promise, and there is no loop that it belongs to.
///
/// # Examples
/// ```
/// use evloop::Promise;
///
/// evloop::run(async {
///     let promise = Promise::new();
///     let waiter = evloop::create_task({
///         let promise = promise.clone();
///         async move { promise.await.unwrap() }
///     });
///     promise.set_result(7).unwrap();
///     assert_eq!(waiter.await.unwrap(), 7);
///     assert_eq!((&promise).await.unwrap(), 7); // as often as you like
///     assert!(promise.set_result(8).is_err());
/// });
/// ```
#[doc(alias = "Future")]
#[doc(alias = "oneshot")]
pub struct Promise<T> {
    inner: Rc<Inner<T>>,
    /// Where this handle waits, if it does.
    key: Option<WaitKey>,
}

impl<T> Promise<T> {
    /// Makes a pending promise.
    ///
    /// # asyncio
    /// `loop.create_future()`.
    #[track_caller]
    pub fn new() -> Self {
        Promise {
            inner: Rc::new(Inner {
                state: RefCell::new(State::Pending),
                observers: WaitList::of("Promise"),
                location: Location::caller(),
            }),
            key: None,
        }
    }

    /// Where the promise was made.
    ///
    /// # asyncio
    /// The source traceback of a future, which is there in debug mode only.
    ///
    /// # Examples
    /// ```
    /// let promise = evloop::Promise::<u8>::new();
    /// assert_eq!(promise.location().file(), file!());
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.inner.location
    }

    /// Completes the promise; whoever waits is woken and callbacks are scheduled, in the order in
    /// which they came. None of them runs before the caller's next `await`.
    ///
    /// # Errors
    /// [`InvalidStateError`] gives the value back if the promise is done or cancelled.
    ///
    /// # Panics
    /// If there are done callbacks and no loop runs on this thread.
    ///
    /// # asyncio
    /// `future.set_result(value)`. To ignore a promise that was cancelled meanwhile, ignore the
    /// error.
    pub fn set_result(&self, value: T) -> Result<(), InvalidStateError<T>> {
        if self.done() {
            return Err(InvalidStateError(value));
        }
        self.complete(State::Set(value));
        Ok(())
    }

    /// Cancels the promise: who awaits it gets a [`CancelledError`]. False if it was done.
    ///
    /// # Panics
    /// If there are done callbacks and no loop runs on this thread.
    ///
    /// # asyncio
    /// `future.cancel()`.
    ///
    /// # Examples
    /// ```
    /// let promise = evloop::Promise::<u8>::new();
    /// assert!(promise.cancel() && promise.cancelled());
    /// assert!(promise.set_result(1).is_err());
    /// ```
    pub fn cancel(&self) -> bool {
        self.end_cancelled(None)
    }

    /// As [`cancel`](Promise::cancel), with a message for the [`CancelledError`].
    ///
    /// # Panics
    /// If there are done callbacks and no loop runs on this thread.
    ///
    /// # asyncio
    /// `future.cancel(msg)`.
    ///
    /// # Examples
    /// ```
    /// let promise = evloop::Promise::<u8>::new();
    /// promise.cancel_with("the peer has gone");
    /// assert_eq!(promise.result().unwrap().unwrap_err().message(), Some("the peer has gone"));
    /// ```
    pub fn cancel_with(&self, message: impl Into<Arc<str>>) -> bool {
        self.end_cancelled(Some(message.into()))
    }

    /// Has the promise a result, or was it cancelled?
    ///
    /// # asyncio
    /// `future.done()`.
    pub fn done(&self) -> bool {
        !matches!(*self.inner.state.borrow(), State::Pending)
    }

    /// Was the promise cancelled?
    ///
    /// # asyncio
    /// `future.cancelled()`.
    pub fn cancelled(&self) -> bool {
        matches!(*self.inner.state.borrow(), State::Cancelled(_))
    }

    /// A clone of the result, without waiting; `None` while the promise is pending, and after the
    /// value was [taken](Promise::take_result).
    ///
    /// # asyncio
    /// `future.result()`, with `None` in place of `InvalidStateError`.
    ///
    /// # Examples
    /// ```
    /// let promise = evloop::Promise::new();
    /// assert!(promise.result().is_none());
    /// promise.set_result(5).unwrap();
    /// assert_eq!(promise.result().unwrap().unwrap(), 5);
    /// ```
    pub fn result(&self) -> Option<Result<T, CancelledError>>
    where
        T: Clone,
    {
        match &*self.inner.state.borrow() {
            State::Pending | State::Taken => None,
            State::Set(value) => Some(Ok(value.clone())),
            State::Cancelled(error) => Some(Err(error.clone())),
        }
    }

    /// Moves the result out, for a `T` that cannot be cloned; `None` while the promise is pending,
    /// and after the value was taken. Taking it is for the last reader: a later await panics.
    ///
    /// # Panics
    /// If called by `T::clone` while [`result`](Promise::result) or an await copies the value.
    ///
    /// # asyncio
    /// No counterpart: values are shared there.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let promise = evloop::Promise::new();
    ///     let setter = promise.clone();
    ///     let _handle = evloop::call_soon(move || drop(setter.set_result(Box::new(5))));
    ///     promise.wait_done().await;
    ///     assert_eq!(*promise.take_result().unwrap().unwrap(), 5);
    ///     assert!(promise.take_result().is_none());
    /// });
    /// ```
    #[track_caller]
    pub fn take_result(&self) -> Option<Result<T, CancelledError>> {
        let Ok(mut state) = self.inner.state.try_borrow_mut() else {
            panic!("T::clone takes the value that it copies: call take_result() after the copy")
        };
        let (next, result) = match mem::replace(&mut *state, State::Taken) {
            State::Set(value) => (State::Taken, Some(Ok(value))),
            State::Cancelled(error) => (State::Cancelled(error.clone()), Some(Err(error))),
            other => (other, None),
        };
        *state = next;
        result
    }

    /// Waits until the promise is done, without looking at the result.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the promise as it is.
    ///
    /// # asyncio
    /// `await asyncio.wait([future])`.
    pub fn wait_done(&self) -> impl Future<Output = ()> + use<T> {
        let mut handle = self.clone();
        poll_fn(move |cx| handle.poll_done(cx))
    }

    /// Has the loop call `callback` once the promise is done, never from inside `set_result` or
    /// `cancel`; if it is done already, the call is scheduled now.
    ///
    /// A callback that owns a handle of its own promise keeps it in memory until it is done.
    ///
    /// It sees the [context variables](crate::ContextVar) as they are at this call.
    ///
    /// # Panics
    /// If no loop runs on this thread, neither now nor when the promise is done. The callback is called
    /// in the loop that it was added in.
    ///
    /// # asyncio
    /// `future.add_done_callback(callback)`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let promise = evloop::Promise::new();
    ///     promise.add_done_callback(|p| println!("got {:?}", p.result()));
    ///     promise.set_result(1).unwrap(); // prints nothing yet
    ///     evloop::yield_now().await; // got Some(Ok(1))
    /// });
    /// ```
    pub fn add_done_callback(&self, callback: impl FnOnce(&Promise<T>) + 'static) -> CallbackId
    where
        T: 'static,
    {
        // The loop of the registration, as in asyncio: who completes the promise may stand outside of it.
        let event_loop = LoopHandle::current();
        let context = captured_context();
        let schedule = move |promise: Promise<T>| {
            let event_loop = event_loop.or_else(LoopHandle::current).expect(
                "no event loop runs on this thread that could call the callback; do this inside of evloop::run",
            );
            drop(event_loop.call_soon_in(context, move || callback(&promise)));
        };
        let key = if self.done() {
            schedule(self.clone());
            None
        } else {
            let observer = Observer::Callback(Box::new(schedule));
            Some(self.inner.observers.push(observer))
        };
        let promise = self.address();
        CallbackId { promise, key }
    }

    /// Takes a callback back. False if it is not registered (any more); what completion has
    /// scheduled already will run.
    ///
    /// # asyncio
    /// `future.remove_done_callback(callback)`: by identity of the registration, since closures
    /// cannot be compared.
    ///
    /// # Examples
    /// ```
    /// let promise = evloop::Promise::<u8>::new();
    /// let id = promise.add_done_callback(|_| unreachable!());
    /// assert!(promise.remove_done_callback(id));
    /// assert!(!promise.remove_done_callback(id));
    /// ```
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        id.promise == self.address() && id.key.is_some_and(|key| self.inner.observers.remove(key))
    }

    fn end_cancelled(&self, message: Option<Arc<str>>) -> bool {
        if self.done() {
            return false;
        }
        self.complete(State::Cancelled(CancelledError::new(message)));
        true
    }

    fn complete(&self, outcome: State<T>) {
        self.inner.state.replace(outcome);
        // One that panics, be it a callback without a loop, keeps nobody from hearing of it.
        call_each(|| {
            let observer = self.inner.observers.pop_front()?;
            Some(|| match observer {
                Observer::Waiter(waker) => waker.wake(),
                Observer::Callback(schedule) => schedule(self.clone()),
            })
        });
    }

    /// Registers this handle unless the promise is done.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.done() {
            self.key = None;
            return Poll::Ready(());
        }
        let (observers, waker) = (&self.inner.observers, cx.waker());
        let is_current = |old: &Observer<T>| matches!(old, Observer::Waiter(w) if w.will_wake(waker));
        let fresh = || Observer::Waiter(waker.clone());
        let refresh = |key| observers.refresh_with(key, is_current, fresh);
        if self.key.is_some_and(refresh) {
            probe::of(|| format!("made at {}", self.inner.location));
            return Poll::Pending;
        }
        let waiter = Observer::Waiter(waker.clone());
        // To clone the waker was foreign code, which may have completed it.
        if self.done() {
            self.key = None;
            return Poll::Ready(());
        }
        self.key = Some(observers.push(waiter));
        Poll::Pending
    }

    fn address(&self) -> usize {
        Rc::as_ptr(&self.inner).addr()
    }
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Promise { inner: self.inner.clone(), key: None }
    }
}

impl<T> Default for Promise<T> {
    #[track_caller]
    fn default() -> Self {
        Promise::new()
    }
}

impl<T: Clone> Future for Promise<T> {
    type Output = Result<T, CancelledError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.poll_done(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => match self.result() {
                Some(result) => Poll::Ready(result),
                None => panic!("the value was taken by take_result(): await the promise before"),
            },
        }
    }
}

impl<T: Clone> IntoFuture for &Promise<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Promise<T>;

    fn into_future(self) -> Promise<T> {
        self.clone()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.inner.observers.remove(key);
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match *self.inner.state.borrow() {
            State::Pending => "pending",
            State::Set(_) => "set",
            State::Taken => "taken",
            State::Cancelled(_) => "cancelled",
        };
        let observers = self.inner.observers.len();
        write!(f, "Promise {{ state: {state}, observers: {observers} }}")
    }
}

/// Names a callback for [`Promise::remove_done_callback`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId {
    /// Keys of different promises look alike; an id must not remove a stranger's callback.
    promise: usize,
    key: Option<WaitKey>,
}

/// The promise is done already, so it takes no further result; contains the refused value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidStateError<T = ()>(pub T);

impl<T> fmt::Debug for InvalidStateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvalidStateError(..)")
    }
}

impl<T> fmt::Display for InvalidStateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already done or cancelled: ask done() before setting a result")
    }
}

impl<T> Error for InvalidStateError<T> {}

struct Inner<T> {
    state: RefCell<State<T>>,
    observers: WaitList<Observer<T>>,
    location: &'static Location<'static>,
}

enum State<T> {
    Pending,
    Set(T),
    Taken,
    Cancelled(CancelledError),
}

enum Observer<T> {
    Waiter(Waker),
    Callback(Box<dyn FnOnce(Promise<T>)>),
}
