//! The borrowing scope: children that run in the current task and may borrow what lives outside of the scope.
//!
//! Children are boxed futures that the scope's own future polls. Each has a waker of its own, and those that
//! were woken stand in one list (`ready.rs`): a child is polled only when it was woken, in the order of the
//! wakes, and what is woken during a round waits for the next one. The body is one more of them.
//!
//! There is no `unsafe` here, so it is sound whatever its users do; what the types say is this. A child may
//! borrow for `'env`, which the caller of [`scope`] chooses: it is outside of the body and longer than the
//! scope's future. Children are reached only through values whose type names `'env`, and nothing runs them
//! but a poll of that future. So if the future is leaked rather than dropped, the children are leaked with it:
//! what they have borrowed may go, and nobody looks at it any more. A function that had to *wait* for its
//! children in a destructor, as `std::thread::scope` does when it returns, could not be made safe this way.
//!
//! Children can hold a [`Scope`], which holds the children: a circle, and a guard in the scope's future opens
//! it when the future goes.
//!
//! In the tree of cancellation the scope is no node: its children's nodes stand where those of the branches
//! of a `join!` would.

mod handle;
mod ready;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use slab::Slab;

pub use handle::ScopedChild;

use handle::{Promised, slot};
use ready::{Bell, ChildKey, ReadyList};

use crate::kernel::probe;

/// Runs `body` with a [`Scope`] in which it starts children: futures of the current task that run beside it
/// and may borrow what was there before the scope. Gives the body's value when the body and all children have
/// ended, those included that children start.
///
/// Nothing is spawned: body and children take turns within the current task, each polled when it was woken.
/// Where children need not borrow, a task for each is simpler.
///
/// Nobody is cancelled for another's sake. To end the children when one of them is done, put a
/// [`race`](crate::race()) into the scope, or the scope into a race.
///
/// # Panics
/// With the panic of the body or of a child, at once: the body and all children are dropped, as in a `join!`.
///
/// # Cancel safety
/// A cancellation goes into the body and all children as into the branches of a `join!`: their cleanups run side
/// by side and whole. Dropping the future drops the body, then the children in the order of their start.
///
/// # asyncio
/// None: asyncio's values are not borrowed. [`TaskGroup`](https://docs.python.org/3/library/asyncio-task.html#task-groups)
/// is the nearest.
///
/// # Examples
/// ```
/// use evloop::{scope, sleep, time::millis};
/// use std::cell::RefCell;
///
/// evloop::run(async {
///     let names = vec!["Ada".to_string(), "Grace".to_string()];
///     let greeted = RefCell::new(Vec::new());
///     let letters = scope(async |s| {
///         for (n, name) in names.iter().enumerate() {
///             let greeted = &greeted;
///             s.spawn(async move {
///                 sleep(millis(2 - n as u64)).await;
///                 greeted.borrow_mut().push(name.as_str());
///             });
///         }
///         let first = s.spawn(async { names[0].len() });
///         first.await
///     });
///     assert_eq!(letters.await, 3);
///     assert_eq!(*greeted.borrow(), ["Grace", "Ada"]);
/// });
/// ```
///
/// A child may not borrow from the body, which may end before it:
/// ```compile_fail,E0597
/// # evloop::run(async {
/// evloop::scope(async |s| {
///     let local = String::from("gone too soon");
///     let borrowed = &local;
///     s.spawn(async move { println!("{borrowed}") });
/// })
/// .await;
/// # });
/// ```
/// From outside of the scope it may:
/// ```
/// # evloop::run(async {
/// let local = String::from("stays");
/// evloop::scope(async |s| {
///     let borrowed = &local;
///     s.spawn(async move { println!("{borrowed}") });
/// })
/// .await;
/// # });
/// ```
#[doc(alias = "nursery")]
pub async fn scope<'env, R>(body: impl AsyncFnOnce(Scope<'env>) -> R) -> R {
    // Locals are dropped in reverse: the body, then the children.
    let children = Guard(Rc::new(Children::new()));
    let bell = Bell::new(&children.0.ready, ChildKey::BODY);
    children.0.ready.push(ChildKey::BODY);
    let waker = Waker::from(bell.clone());
    let mut body = pin!(body(Scope { children: children.0.clone() }));
    let mut value = None;
    poll_fn(|cx| {
        let mut woken = children.0.ready.take(cx.waker());
        if probe::asked() {
            woken = children.0.everybody();
        }
        for key in woken {
            if key != ChildKey::BODY {
                children.0.poll(key);
            } else if value.is_none() {
                bell.reset();
                if let Poll::Ready(result) = body.as_mut().poll(&mut Context::from_waker(&waker)) {
                    bell.mute();
                    value = Some(result);
                }
            }
        }
        if children.0.all_ended() { value.take().map_or(Poll::Pending, Poll::Ready) } else { Poll::Pending }
    })
    .await
}

/// Where the children of a [`scope`](crate::scope()) are started. Clones are the same scope; children may hold
/// one.
pub struct Scope<'env> {
    children: Rc<Children<'env>>,
}

impl<'env> Scope<'env> {
    /// Starts a child: it is polled for the first time in the next round, after what is ready now. Dropping the
    /// handle leaves the child alone.
    ///
    /// # Panics
    /// After the scope's end, which only a `Scope` that was kept outside of it can see. See
    /// [`try_spawn`](Self::try_spawn).
    #[track_caller]
    pub fn spawn<F: Future + 'env>(&self, future: F) -> ScopedChild<F::Output> {
        match self.try_spawn(future) {
            Ok(child) => child,
            Err(_) => panic!("this scope has ended; start children while its body or another child runs"),
        }
    }

    /// As [`spawn`](Self::spawn), for code that may run after the scope's end: a destructor of a child, or
    /// whoever kept the `Scope`.
    ///
    /// # Errors
    /// The future, if the scope has ended.
    pub fn try_spawn<F: Future + 'env>(&self, future: F) -> Result<ScopedChild<F::Output>, F> {
        let children = &self.children;
        if children.closed.get() {
            return Err(future);
        }
        let (promised, child) = slot();
        let future = Box::pin(Keeping { future, promised: Some(promised) });
        let key = children.insert(future);
        children.ready.push(key);
        Ok(child)
    }
}

impl Clone for Scope<'_> {
    fn clone(&self) -> Self {
        Self { children: self.children.clone() }
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unfinished = self.children.slots.borrow().len();
        f.debug_struct("Scope").field("unfinished", &unfinished).finish()
    }
}

pin_project! {
    /// A child's future, and where its value goes.
    struct Keeping<F>
    where
        F: Future,
    {
        #[pin]
        future: F,
        promised: Option<Promised<F::Output>>,
    }
}

impl<F: Future> Future for Keeping<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.future.poll(cx).map(|value| {
            if let Some(promised) = this.promised.take() {
                promised.keep(value);
            }
        })
    }
}

struct Child<'env> {
    // Before the waker: it goes first.
    future: Pin<Box<dyn Future<Output = ()> + 'env>>,
    bell: Arc<Bell>,
    waker: Waker,
}

struct Slot<'env> {
    born: u64,
    /// `None` while it is polled.
    child: Option<Child<'env>>,
}

struct Children<'env> {
    slots: RefCell<Slab<Slot<'env>>>,
    ready: Arc<ReadyList>,
    births: Cell<u64>,
    closed: Cell<bool>,
}

impl<'env> Children<'env> {
    fn new() -> Self {
        Self {
            slots: RefCell::new(Slab::new()),
            ready: Arc::default(),
            births: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    fn insert(&self, future: Pin<Box<dyn Future<Output = ()> + 'env>>) -> ChildKey {
        self.births.set(self.births.get() + 1);
        let born = self.births.get();
        let mut slots = self.slots.borrow_mut();
        let entry = slots.vacant_entry();
        let key = ChildKey { index: entry.key(), born };
        let bell = Bell::new(&self.ready, key);
        let waker = Waker::from(bell.clone());
        entry.insert(Slot { born, child: Some(Child { future, bell, waker }) });
        key
    }

    /// The body, and the children in order of birth.
    fn everybody(&self) -> VecDeque<ChildKey> {
        let slots = self.slots.borrow();
        let mut all: Vec<_> = slots.iter().map(|(index, slot)| ChildKey { index, born: slot.born }).collect();
        all.sort_unstable_by_key(|key| key.born);
        std::iter::once(ChildKey::BODY).chain(all).collect()
    }

    fn all_ended(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    /// Polls a child, unless it has ended since it was woken. No borrow is held meanwhile.
    fn poll(&self, key: ChildKey) {
        let child = self.slot(key, |slot| slot.child.take()).flatten();
        let Some(mut child) = child else { return };
        child.bell.reset();
        let polled = child.future.as_mut().poll(&mut Context::from_waker(&child.waker));
        if polled.is_pending() {
            self.slot(key, |slot| slot.child = Some(child));
            return;
        }
        child.bell.mute();
        self.slots.borrow_mut().remove(key.index);
        drop(child);
    }

    fn slot<T>(&self, key: ChildKey, f: impl FnOnce(&mut Slot<'env>) -> T) -> Option<T> {
        let mut slots = self.slots.borrow_mut();
        slots.get_mut(key.index).filter(|slot| slot.born == key.born).map(f)
    }

    fn close(&self) {
        self.closed.set(true);
        self.ready.close();
        let mut slots: Vec<_> = mem::take(&mut *self.slots.borrow_mut()).into_iter().collect();
        slots.sort_unstable_by_key(|(_, slot)| slot.born);
        drop(slots);
    }
}

/// In the scope's future: ends the children, and the circles that they are part of, when it goes.
struct Guard<'env>(Rc<Children<'env>>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
