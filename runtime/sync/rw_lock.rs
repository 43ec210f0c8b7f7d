//! A lock for several who read or one who writes, in the order in which they asked.
//!
//! ```text
//!   line:   R R W R R W          the first two enter together; the others stay, also the readers among them:
//!           └─┘ │ └─┘            they have come after somebody who wants to write
//!   inside: R R │
//! ```
//!
//! Who is called is inside from then on: `readers` counts those too who have not run yet, and a writer who was called
//! has the lock. So nobody takes what was given, and whoever is called and gives up leaves as one who was in.
//! Nobody in line could go in (else he would be): a newcomer goes in at once only if the line is empty.
//!
//! The data lies in a `RefCell` that only guards borrow.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::stats::RwLockStats;
use crate::kernel::{Place, Standing, WaitList, call_each, current_task_id, probe, tell_of_own_lock};
use crate::sync::WouldWait;

/// Gives several tasks at a time access to a value for reading, or one for writing, in the order in which they asked.
///
/// Readers who stand in line one after the other enter together. Who wants to write waits for those who are in, and
/// from then on newcomers wait behind: neither readers nor writers can be kept out for ever.
///
/// Between two `await`s no other task runs, so this is only needed for what must stay as it is *across* an `await`;
/// for the rest a `RefCell` does. Share it between tasks by `Rc<RwLock<T>>`. A task that has a guard and waits for
/// another one of the same lock may wait for ever: also for a second one to read, if somebody waits to write.
///
/// # asyncio
/// No counterpart. The names are those of `std::sync::RwLock`.
///
/// # Examples
/// ```
/// use evloop::{RwLock, create_task, gather, yield_now};
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let prices = Rc::new(RwLock::new(vec![1, 2, 3]));
///     let sum = || {
///         let prices = prices.clone();
///         async move {
///             let prices = prices.read().await;
///             yield_now().await; // nobody changes them meanwhile
///             prices.iter().sum::<i32>()
///         }
///     };
///     let readers = create_task({
///         let both = [sum(), sum()];
///         async move { gather(both).await.unwrap() }
///     });
///     yield_now().await;
///     yield_now().await;
///     assert_eq!(prices.stats().readers, 2);
///     prices.write().await.push(4); // waits for both
///     assert_eq!(readers.await.unwrap(), [6, 6]);
///     assert_eq!(sum().await, 10);
/// });
/// ```
pub struct RwLock<T: ?Sized> {
    gate: Gate,
    value: RefCell<T>,
}

impl<T> RwLock<T> {
    /// Makes an unlocked lock around `value`.
    pub const fn new(value: T) -> Self {
        RwLock { gate: Gate::new(), value: RefCell::new(value) }
    }

    /// Ends the lock and returns its value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits for a turn to read; dropping the guard ends it.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line; a turn already granted passes to the next.
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        let enter = Enter::new(&self.gate, Wish::Read);
        async move {
            enter.await;
            self.read_guard()
        }
    }

    /// Waits for a turn to write, when nobody else reads or writes; dropping the guard ends it.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line, and lets those in whom it alone kept out; a turn already granted
    /// passes to the next.
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        let enter = Enter::new(&self.gate, Wish::Write);
        async move {
            enter.await;
            self.write_guard()
        }
    }

    /// Reads if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if somebody writes, was called to, or waits to.
    ///
    /// # Examples
    /// ```
    /// let lock = evloop::RwLock::new(());
    /// let _both = (lock.read_nowait().unwrap(), lock.read_nowait().unwrap());
    /// assert!(lock.write_nowait().is_err());
    /// ```
    #[doc(alias = "try_read")]
    pub fn read_nowait(&self) -> Result<RwLockReadGuard<'_, T>, WouldWait> {
        if self.gate.try_enter(Wish::Read) { Ok(self.read_guard()) } else { Err(WouldWait) }
    }

    /// Writes if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if somebody reads or writes, or was called to.
    ///
    /// # Examples
    /// ```
    /// let lock = evloop::RwLock::new(1);
    /// let mut guard = lock.write_nowait().unwrap();
    /// *guard += 1;
    /// assert!(lock.write_nowait().is_err() && lock.read_nowait().is_err());
    /// ```
    #[doc(alias = "try_write")]
    pub fn write_nowait(&self) -> Result<RwLockWriteGuard<'_, T>, WouldWait> {
        if self.gate.try_enter(Wish::Write) { Ok(self.write_guard()) } else { Err(WouldWait) }
    }

    /// The value, without locking: the borrow proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Who writes, how many read, and how many wait.
    pub fn stats(&self) -> RwLockStats {
        let gate = &self.gate;
        RwLockStats {
            readers: gate.reading(),
            write_locked: gate.is_writing(),
            writer: gate.noted_writer(),
            waiters: gate.line.len(),
            peak_waiters: gate.line.peak(),
        }
    }

    /// For one who has gone in to read.
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        // Only guards borrow the value, and there is none to write while somebody is in to read.
        RwLockReadGuard { value: self.value.borrow(), leave: LeaveReading(&self.gate) }
    }

    /// For one who has gone in to write.
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { value: self.value.borrow_mut(), leave: LeaveWriting(&self.gate), lock: self }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("readers", &self.gate.reading())
            .field("write_locked", &self.gate.is_writing())
            .field("waiters", &self.gate.line.len())
            .finish_non_exhaustive()
    }
}

/// Reads the value of a [`RwLock`]; dropping the last one calls the first in line.
#[must_use = "a guard that is dropped at once releases the lock again"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // Declared, hence dropped first: the value is free again before anybody is called.
    value: Ref<'a, T>,
    leave: LeaveReading<'a>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// Goes on with a part of the value; the lock is held as before.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Panics
    /// If `part` does; then the guard is dropped.
    ///
    /// # Examples
    /// ```
    /// use evloop::{RwLock, sync::RwLockReadGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// let name = RwLockReadGuard::map(lock.read_nowait().unwrap(), |pair| &pair.1);
    /// assert_eq!((*name, lock.stats().readers), ("one", 1));
    /// ```
    pub fn map<U: ?Sized>(guard: Self, part: impl FnOnce(&T) -> &U) -> RwLockReadGuard<'a, U> {
        let RwLockReadGuard { value, leave } = guard;
        RwLockReadGuard { value: Ref::map(value, part), leave }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLockReadGuard").field(&&*self.value).finish()
    }
}

/// Writes the value of a [`RwLock`]; dropping it calls those who are next in line.
#[must_use = "a guard that is dropped at once releases the lock again"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    value: RefMut<'a, T>,
    leave: LeaveWriting<'a>,
    lock: &'a RwLock<T>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on to read, without a moment in between in which somebody could write. Readers who are next in line enter.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Examples
    /// ```
    /// use evloop::{RwLock, sync::RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard = lock.write_nowait().unwrap();
    /// *guard += 1;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!((*guard, *lock.read_nowait().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let RwLockWriteGuard { value, leave, lock } = guard;
        drop(value);
        let gate = leave.0;
        std::mem::forget(leave);
        gate.readers.set(1);
        let guard = lock.read_guard();
        gate.call_next();
        guard
    }

    /// Goes on with a part of the value; the lock is held as before.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Panics
    /// If `part` does; then the guard is dropped.
    ///
    /// # Examples
    /// ```
    /// use evloop::{RwLock, sync::RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// *RwLockWriteGuard::map(lock.write_nowait().unwrap(), |pair| &mut pair.0) += 1;
    /// assert_eq!(lock.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(guard: Self, part: impl FnOnce(&mut T) -> &mut U) -> MappedRwLockWriteGuard<'a, U> {
        let RwLockWriteGuard { value, leave, .. } = guard;
        MappedRwLockWriteGuard { value: RefMut::map(value, part), leave }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLockWriteGuard").field(&&*self.value).finish()
    }
}

/// As [`RwLockWriteGuard`], of a part of the value: see [`RwLockWriteGuard::map`].
#[must_use = "a guard that is dropped at once releases the lock again"]
pub struct MappedRwLockWriteGuard<'a, T: ?Sized> {
    value: RefMut<'a, T>,
    leave: LeaveWriting<'a>,
}

impl<'a, T: ?Sized> MappedRwLockWriteGuard<'a, T> {
    /// Goes on with a part of this part.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Panics
    /// If `part` does; then the guard is dropped.
    pub fn map<U: ?Sized>(guard: Self, part: impl FnOnce(&mut T) -> &mut U) -> MappedRwLockWriteGuard<'a, U> {
        let MappedRwLockWriteGuard { value, leave } = guard;
        MappedRwLockWriteGuard { value: RefMut::map(value, part), leave }
    }
}

impl<T: ?Sized> Deref for MappedRwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedRwLockWriteGuard").field(&&*self.value).finish()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Read,
    Write,
}

/// What one waits in.
const OPERATION: &str = "RwLock";

/// Who may go in; knows nothing of the value.
struct Gate {
    /// How many read or were called to, or [`WRITING`].
    readers: Cell<usize>,
    /// The task that went in last to write; 0 if that was none, or while one who was called has not come.
    writer: Cell<u64>,
    line: WaitList<(Waker, Wish)>,
}

/// Somebody writes, or was called to.
const WRITING: usize = usize::MAX;

impl Gate {
    const fn new() -> Self {
        Gate { readers: Cell::new(0), writer: Cell::new(0), line: WaitList::of(OPERATION) }
    }

    fn reading(&self) -> usize {
        if self.is_writing() { 0 } else { self.readers.get() }
    }

    fn is_writing(&self) -> bool {
        self.readers.get() == WRITING
    }

    /// The task that writes, if somebody does and was in a task when he went in.
    fn noted_writer(&self) -> Option<u64> {
        Some(self.writer.get()).filter(|&id| id != 0 && self.is_writing())
    }

    /// Is there room for one more? If so, takes it.
    #[inline]
    fn take_room(&self, wish: Wish) -> bool {
        let readers = self.readers.get();
        let (is_free, then) = match wish {
            Wish::Read => (readers < WRITING - 1, readers.wrapping_add(1)),
            Wish::Write => (readers == 0, WRITING),
        };
        if is_free {
            self.readers.set(then);
        }
        is_free
    }

    /// Goes in if that keeps nobody waiting who has come before.
    #[inline]
    fn try_enter(&self, wish: Wish) -> bool {
        let may_enter = self.line.is_empty() && self.take_room(wish);
        if may_enter {
            self.note(wish);
        }
        may_enter
    }

    /// Notes who has gone in.
    #[inline]
    fn note(&self, wish: Wish) {
        if wish == Wish::Write {
            self.writer.set(current_task_id());
        }
    }

    #[inline]
    fn leave(&self, wish: Wish) {
        match wish {
            Wish::Read => self.readers.set(self.readers.get() - 1),
            Wish::Write => self.readers.set(0),
        }
        self.call_next();
    }

    /// Calls as many as there is room for now; they are inside from then on.
    #[inline]
    fn call_next(&self) {
        if !self.line.is_empty() {
            self.call_those_who_may();
        }
    }

    #[inline(never)]
    fn call_those_who_may(&self) {
        call_each(|| {
            let (waker, wish) = self.line.pop_front_if(|&(_, wish)| self.take_room(wish))?;
            if wish == Wish::Write {
                self.writer.set(0);
            }
            Some(|| waker.wake())
        });
    }
}

/// Waits for a turn.
struct Enter<'a> {
    gate: &'a Gate,
    wish: Wish,
    place: Place,
}

impl<'a> Enter<'a> {
    fn new(gate: &'a Gate, wish: Wish) -> Self {
        Enter { gate, wish, place: Place::new() }
    }
}

impl Future for Enter<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (gate, wish) = (self.gate, self.wish);
        match self.place.poll(&gate.line, cx.waker()) {
            Standing::InLine => {
                if let Some(writer) = gate.noted_writer() {
                    probe::in_hands_of("held by", writer);
                }
                Poll::Pending
            }
            Standing::Called => {
                gate.note(wish);
                Poll::Ready(())
            }
            Standing::Outside if gate.try_enter(wish) => Poll::Ready(()),
            Standing::Outside => {
                if gate.noted_writer() == Some(current_task_id()) {
                    tell_of_own_lock(OPERATION);
                }
                let waker = cx.waker().clone();
                // To clone it was foreign code, which may have left.
                if gate.try_enter(wish) {
                    return Poll::Ready(());
                }
                self.place.enter_as(&gate.line, (waker, wish));
                Poll::Pending
            }
        }
    }
}

impl Drop for Enter<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.place.leave(&self.gate.line) {
            Standing::Outside => {}
            // It may have been a writer, who kept readers out.
            Standing::InLine => self.gate.call_next(),
            Standing::Called => self.gate.leave(self.wish),
        }
    }
}

struct LeaveReading<'a>(&'a Gate);

impl Drop for LeaveReading<'_> {
    fn drop(&mut self) {
        self.0.leave(Wish::Read);
    }
}

struct LeaveWriting<'a>(&'a Gate);

impl Drop for LeaveWriting<'_> {
    fn drop(&mut self) {
        self.0.leave(Wish::Write);
    }
}
