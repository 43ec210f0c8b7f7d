//! A `call_soon` callback: the second kind of entry in the FIFO.
//!
//! One allocation holds entry and closure. It is shared by the FIFO (or a timer, or a letter) and its
//! [`Handle`]; counting is plain, since both are at home. A letter builds it abroad and gives it away whole.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;

use super::current::{drop_context, run_callback_in};
use crate::kernel::context::{BUDGET, Home, with_current};
use crate::kernel::debug::Step;
use crate::kernel::report::guarded;
use crate::kernel::scheduler::alarm::{Alarm, AlarmVtable, Alarmed};
use crate::kernel::scheduler::{Entry, EntryVtable, Letter, ReadyList};
use crate::kernel::variables::Context;

#[repr(C)]
struct Head {
    entry: Entry,
    /// The queue's claim and the handles.
    claims: Cell<u32>,
    cancelled: Cell<bool>,
    /// Where it was scheduled, if that was in the program's own code.
    location: Option<&'static Location<'static>>,
    /// What it sees of context variables; a letter's has none before it is at home.
    context: Cell<Option<Context>>,
    drop_closure: unsafe fn(NonNull<Entry>),
    free: unsafe fn(NonNull<Entry>),
}

#[repr(C)]
struct Node<F> {
    head: Head,
    closure: UnsafeCell<Option<F>>,
}

struct OfType<F>(PhantomData<F>);

/// A callback at a time: the alarm's claim becomes the FIFO's.
const ALARM: AlarmVtable = AlarmVtable { ring, give_up, wakes: |_, _| false, is_waker: false };

impl<F: FnOnce() + 'static> OfType<F> {
    const VTABLE: EntryVtable = EntryVtable {
        alarm: ALARM,
        run: run::<F>,
        discard,
        deliver,
        discard_abroad: discard_abroad::<F>,
        describe,
    };
}

/// A callback that is in no queue yet, with one claim on it.
pub(crate) struct Callback {
    node: NonNull<Entry>,
    not_send: PhantomData<*const ()>,
}

impl Callback {
    /// Wraps a closure.
    pub(crate) fn new<F: FnOnce() + 'static>(f: F) -> Self {
        Self { node: make(f, None), not_send: PhantomData }
    }

    /// Wraps a closure that the program has scheduled at `location`.
    pub(crate) fn new_at<F: FnOnce() + 'static>(f: F, location: &'static Location<'static>) -> Self {
        Self { node: make(f, Some(location)), not_send: PhantomData }
    }

    /// Wraps a closure on its way to a loop on another thread.
    pub(crate) fn letter<F: FnOnce() + Send + 'static>(f: F) -> Letter {
        // SAFETY: the letter gets the only claim; the closure is `Send`, so `discard_abroad` may drop it
        // on any thread, and nobody else knows the node.
        unsafe { Letter::new(make(f, None)) }
    }

    /// As [`letter`](Self::letter), of a closure that the program has scheduled at `location`.
    pub(crate) fn letter_at<F>(f: F, location: &'static Location<'static>) -> Letter
    where
        F: FnOnce() + Send + 'static,
    {
        // SAFETY: as above; a location is for all threads.
        unsafe { Letter::new(make(f, Some(location))) }
    }

    /// Lets it run in a context, instead of in an empty one.
    pub(crate) fn within(self, context: Option<Context>) -> Self {
        head(self.node).context.set(context);
        self
    }

    /// Makes a handle to it.
    pub(crate) fn handle(&self) -> Handle {
        let head = head(self.node);
        // 2^32 handles of one callback do not fit in memory.
        head.claims.set(head.claims.get() + 1);
        Handle { node: self.node, not_send: PhantomData }
    }

    /// Lets it be called when an alarm rings.
    pub(crate) fn into_alarm(self) -> Alarm {
        let node = self.node;
        std::mem::forget(self);
        // SAFETY: alive and in no list, an entry begins with the head of an alarm, and its claim is passed on.
        unsafe { Alarm::new(node.cast()) }
    }

    /// Puts it at the end of the FIFO.
    pub(crate) fn schedule(self, home: &Home) {
        let node = self.node;
        std::mem::forget(self);
        // SAFETY: alive and in no list, at home (`Callback` is `!Send`), and its claim is passed on.
        unsafe { home.ready.push(node) };
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: this owns one claim.
        unsafe { discard(self.node) };
    }
}

fn make<F: FnOnce() + 'static>(f: F, location: Option<&'static Location<'static>>) -> NonNull<Entry> {
    let node = Box::new(Node {
        head: Head {
            // SAFETY: the vtable is a constant, and made for `Node<F>`.
            entry: unsafe { Entry::new(&raw const *const { &OfType::<F>::VTABLE }) },
            claims: Cell::new(1),
            cancelled: Cell::new(false),
            location,
            context: Cell::new(None),
            drop_closure: drop_closure::<F>,
            free: free::<F>,
        },
        closure: UnsafeCell::new(Some(f)),
    });
    NonNull::from(Box::leak(node)).cast()
}

/// The head of a node that the caller has a claim on.
fn head<'a>(node: NonNull<Entry>) -> &'a Head {
    // SAFETY: private; all callers own a claim for as long as they use the result, so the node is alive,
    // and every entry that this module makes is the first field of a `Head`.
    unsafe { node.cast::<Head>().as_ref() }
}

/// # Safety
/// The node was made for `F`, and the caller owns a claim.
unsafe fn take_closure<F>(node: NonNull<Entry>) -> Option<F> {
    // SAFETY: the caller's duty; the slot is only ever touched here, at once.
    unsafe { (*(*node.cast::<Node<F>>().as_ptr()).closure.get()).take() }
}

unsafe fn drop_closure<F>(node: NonNull<Entry>) {
    // SAFETY: the caller's duty.
    let closure = unsafe { take_closure::<F>(node) };
    guarded("a callback panicked when it was dropped", || drop(closure));
    drop_context(head(node).context.take());
}

unsafe fn free<F>(node: NonNull<Entry>) {
    // SAFETY: made by `Box::leak` in `make::<F>`; the last claim is gone.
    drop(unsafe { Box::from_raw(node.cast::<Node<F>>().as_ptr()) });
}

/// # Safety
/// The caller gives its claim up.
unsafe fn release(node: NonNull<Entry>) {
    let head = head(node);
    let claims = head.claims.get() - 1;
    head.claims.set(claims);
    if claims == 0 {
        // SAFETY: the node's own function; nobody is left.
        unsafe { (head.free)(node) };
    }
}

unsafe fn run<F: FnOnce() + 'static>(node: NonNull<Entry>) {
    // SAFETY: the FIFO's claim is this call's.
    if let Some(closure) = unsafe { take_closure::<F>(node) } {
        let context = head(node).context.take();
        with_current(|_, home| {
            // As a task's step: a callback may poll, too.
            home.budget.set(BUDGET);
            run_callback_in(home, context, || {
                guarded("a callback panicked", closure);
            });
        });
    }
    // SAFETY: as above.
    unsafe { release(node) };
}

unsafe fn discard(node: NonNull<Entry>) {
    let head = head(node);
    head.cancelled.set(true);
    // SAFETY: the node's own function, and the claim is this call's.
    unsafe {
        (head.drop_closure)(node);
        release(node);
    }
}

unsafe fn ring(this: NonNull<Alarmed>, ready: &ReadyList) {
    // SAFETY: `into_alarm` gave the node away, at home, in no list, with the claim that is passed on here.
    unsafe { ready.push(this.cast()) };
}

unsafe fn give_up(this: NonNull<Alarmed>) {
    // SAFETY: as in `ring`.
    unsafe { discard(this.cast()) };
}

unsafe fn deliver(node: NonNull<Entry>, ready: &ReadyList) {
    // SAFETY: it comes from a letter: in no list, at home now, and the letter's claim is passed on.
    unsafe { ready.push(node) };
}

unsafe fn discard_abroad<F>(node: NonNull<Entry>) {
    // SAFETY: a letter's node is known to nobody else, its closure is `Send` (`Callback::letter`), and it has no
    // context: who gives it one has a `Callback`.
    unsafe { free::<F>(node) };
}

/// # Safety
/// The node is alive, at home.
unsafe fn describe(node: NonNull<Entry>) -> Step {
    Step::Callback(head(node).location)
}

/// A scheduled callback, to cancel it. Dropping the handle does nothing.
///
/// # asyncio
/// `asyncio.Handle`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let handle = evloop::call_soon(|| unreachable!("it is cancelled before its turn"));
///     handle.cancel();
///     assert!(handle.cancelled());
///     evloop::yield_now().await;
/// });
/// ```
pub struct Handle {
    node: NonNull<Entry>,
    not_send: PhantomData<*const ()>,
}

impl Handle {
    /// Drops the callback, at once. It is effective up to the moment the callback runs, also inside the
    /// batch that runs already; afterwards it does nothing.
    pub fn cancel(&self) {
        let head = head(self.node);
        head.cancelled.set(true);
        // SAFETY: the node's own function; this handle is a claim.
        unsafe { (head.drop_closure)(self.node) };
    }

    /// Whether [`cancel`](Self::cancel) was called, or the loop ended before the callback's turn.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        head(self.node).cancelled.get()
    }

    /// Where the callback was scheduled.
    ///
    /// # asyncio
    /// The source traceback of a handle, which is there in debug mode only.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let handle = evloop::call_soon(|| ());
    ///     assert_eq!(handle.location().unwrap().file(), file!());
    /// });
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        head(self.node).location
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this is one claim, and it ends.
        unsafe { release(self.node) };
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Handle");
        f.field("cancelled", &self.cancelled());
        if let Some(location) = self.location() {
            f.field("scheduled_at", &format_args!("{location}"));
        }
        f.finish()
    }
}
