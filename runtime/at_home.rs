//! State that stays on its loop's thread while its owner is carried about.
//!
//! The value is in a slab of the loop; what travels is a key into it and a reference to the loop's shared face.
//! So nothing here needs `unsafe`: what is `Send` is plain data.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::{self, Thread};

use slab::Slab;

use crate::kernel::{Errand, LoopHandle, guarded};

/// A value that stays in the loop it was made in, `Send` and `Sync` whatever it is: for frameworks that insist.
///
/// What is sent about is a key. The value is used, polled (if it is a future) and dropped at home only, inside of its
/// loop; anywhere else [`with`](Self::with) panics and [`try_with`](Self::try_with) says no. Dropped on another
/// thread, a letter goes home and drops the value there. A loop that ends drops it with the rest.
///
/// # asyncio
/// No counterpart: there all objects may go anywhere, and must not be used there.
///
/// # Examples
/// ```
/// use evloop::AtHome;
/// use std::{cell::Cell, rc::Rc};
///
/// fn for_any_thread<T: Send + Sync + 'static>(value: T) -> T {
///     value
/// }
///
/// evloop::run(async {
///     let counter = Rc::new(Cell::new(0));
///     let state = for_any_thread(AtHome::new(counter.clone()));
///     state.with(|counter| counter.set(1));
///     let state = evloop::to_thread(move || {
///         assert!(state.try_with(|counter| counter.get()).is_err(), "this is not its home");
///         state
///     })
///     .await;
///     assert_eq!(state.into_inner().get(), 1);
/// });
/// ```
pub struct AtHome<T: 'static> {
    errand: Errand,
    thread: Thread,
    /// Of the values that it is one of.
    values: u64,
    place: usize,
    /// It has a `T` as little as a pointer has one.
    value: PhantomData<fn() -> T>,
}

/// The values of a loop. One that is being polled is out of its place.
struct Values {
    /// A loop that ends has others for what its destructors leave there, in the same places.
    number: u64,
    places: RefCell<Slab<Option<Rc<dyn Any>>>>,
}

impl Values {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: the number alone matters.
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), places: RefCell::default() }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // One by one: a destructor that panics must not keep the others.
        for value in self.places.take() {
            guarded(PANICKED, || drop(value));
        }
    }
}

const PANICKED: &str = "a value at home panicked when it was dropped";

impl<T: 'static> AtHome<T> {
    /// Leaves a value in the running loop.
    ///
    /// # Panics
    /// Outside of a loop.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let handle = LoopHandle::current()
            .expect("no event loop runs on this thread; leave a value at home inside of evloop::run");
        let values = handle.loop_ref().with(|home| home.extension(Values::new));
        let values = values.expect("a loop that this code runs in is not closed");
        let place = values.places.borrow_mut().insert(Some(Rc::new(value)));
        let (errand, thread) = (Errand::of(&handle), thread::current());
        Self { errand, thread, values: values.number, place, value: PhantomData }
    }

    /// Looks at the value.
    ///
    /// # Panics
    /// Outside of the loop that it was made in. If `f` panics.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`with`](Self::with), where this code may be anywhere.
    ///
    /// # Errors
    /// [`NotAtHome`] outside of the loop that it was made in; `f` is not called.
    pub fn try_with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, NotAtHome> {
        let value = self.values().and_then(|values| values.places.borrow().get(self.place)?.clone());
        match value.and_then(|value| value.downcast::<T>().ok()) {
            Some(value) => Ok(f(&value)),
            None => Err(self.not_at_home()),
        }
    }

    /// Takes the value out.
    ///
    /// # Panics
    /// Outside of the loop that it was made in; the value is dropped at home.
    #[must_use]
    #[track_caller]
    pub fn into_inner(self) -> T {
        let value = self.values().and_then(|values| values.places.borrow_mut().get_mut(self.place)?.take());
        // Nobody else has counted it for longer than a call of `with`, which borrows this.
        let value = value.and_then(|value| Rc::into_inner(value.downcast::<T>().ok()?));
        match value {
            Some(value) => value,
            None => panic!("{}", self.not_at_home()),
        }
    }

    /// The values of the loop, if this code runs in it.
    fn values(&self) -> Option<Rc<Values>> {
        self.errand
            .home_if_current()?
            .find_extension()
            .filter(|values: &Rc<Values>| values.number == self.values)
    }

    fn not_at_home(&self) -> NotAtHome {
        let name = self.thread.name().unwrap_or("without a name").to_owned();
        NotAtHome { loop_id: self.errand.loop_id(), thread: name }
    }
}

impl<F: Future + Unpin + 'static> Future for AtHome<F> {
    type Output = F::Output;

    /// Polls the future at home. For futures that are not `Unpin`: `AtHome::new(Box::pin(future))`.
    ///
    /// # Panics
    /// Outside of the loop that it was made in.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(values) = self.values() else { panic!("{}", self.not_at_home()) };
        let mut out = Out { value: None, values, place: self.place };
        let value = out.values.places.borrow_mut().get_mut(self.place).and_then(Option::take);
        let value = out.value.insert(value.unwrap_or_else(|| panic!("{}", self.not_at_home())));
        let future = Rc::get_mut(value).and_then(|value| value.downcast_mut::<F>());
        let future = future.expect("a value at home has one owner, who is polling it");
        Pin::new(future).poll(cx)
    }
}

/// A value out of its place, to which it returns, also on unwind.
struct Out {
    value: Option<Rc<dyn Any>>,
    values: Rc<Values>,
    place: usize,
}

impl Drop for Out {
    fn drop(&mut self) {
        if let Some(place) = self.values.places.borrow_mut().get_mut(self.place) {
            *place = self.value.take();
        }
    }
}

impl<T: 'static> Drop for AtHome<T> {
    fn drop(&mut self) {
        let (number, place) = (self.values, self.place);
        match self.values() {
            Some(values) => {
                let value = values.places.borrow_mut().try_remove(place);
                drop(value);
            }
            None => self.errand.send(move |home| {
                let values = home.find_extension::<Values>().filter(|values| values.number == number);
                let value = values.and_then(|values| values.places.borrow_mut().try_remove(place));
                guarded(PANICKED, || drop(value));
            }),
        }
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for AtHome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.try_with(|value| f.debug_tuple("AtHome").field(value).finish());
        shown.unwrap_or_else(|elsewhere| write!(f, "AtHome(in loop {})", elsewhere.loop_id))
    }
}

/// A value was wanted outside of the loop that it is at home in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAtHome {
    loop_id: u64,
    thread: String,
}

impl fmt::Display for NotAtHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, thread) = (self.loop_id, &self.thread);
        write!(
            f,
            "the value is at home in loop {id}, on the thread {thread:?}: use it inside of that loop only, "
        )?;
        write!(f, "which it goes with")
    }
}

impl Error for NotAtHome {}

/// Whatever the value is.
const _: () = {
    const fn travels<T: Send + Sync>() {}
    travels::<AtHome<Rc<()>>>();
};
