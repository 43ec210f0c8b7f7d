//! One counted block of memory with two faces: what every thread may touch, and what only its birth
//! thread may.
//!
//! A loop is one [`HomeCell`]. Its `shared` face (inbox, bell) is `Sync`. Its `home` face (ready list,
//! timers, scopes) is plain cells, and is reached in two ways only:
//!
//! * [`HomeRef`], which is `!Send` and therefore never leaves the birth thread;
//! * [`HomeCell::home_if_current`], which compares one thread-local pointer: it is set by
//!   [`HomeRef::enter`] while the loop works, so a match proves that this is the birth thread.
//!
//! Counting. Every task header, handle and proxy keeps the block alive. The loop starts with
//! [`PREPAID`] references and hands them out by a plain counter, so that at home nothing atomic is
//! done; references given back on other threads are subtracted atomically. Closing the loop settles the
//! account: from then on all counting is atomic, and whoever takes the last one frees the memory.
//!
//! The home value is dropped at home, when the loop is closed *and* no frame on the stack can still see
//! it (`busy`): user code that runs inside the kernel may drop the loop itself.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicIsize, Ordering};

/// References the loop owns from the start. Larger than any number of objects that fit in memory.
const PREPAID: isize = isize::MAX / 4;
/// Handed out at home and given back abroad, references run out: 2^60 of them in no time that a machine
/// of 64 bits has, 2^28 in a week of blocking jobs on one of 32. When so many are out, they are paid anew.
const PAY_AT: isize = PREPAID / 2;

thread_local! {
    /// The block whose loop works on this thread at this moment; null outside of every loop. It is
    /// compared, and followed only by `current`, whose caller vouches for the type.
    static CURRENT: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// See the module's description.
pub(crate) struct HomeCell<S, H> {
    refs: AtomicIsize,
    /// Home only: references handed out of the prepaid ones.
    handed_out: Cell<isize>,
    /// Home only.
    closed: Cell<bool>,
    /// Home only: frames that may hold a `&H`.
    busy: Cell<u32>,
    shared: S,
    /// `None` after the close. Home only.
    home: UnsafeCell<Option<H>>,
}

impl<S, H> HomeCell<S, H> {
    /// The face for every thread.
    pub(crate) fn shared(&self) -> &S {
        &self.shared
    }

    /// Whether this thread is inside this very loop.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        CURRENT.get() == ptr::from_ref(self).cast()
    }

    /// The home face, if this thread is inside this loop.
    #[inline]
    pub(crate) fn home_if_current(&self) -> Option<&H> {
        if self.is_current() { self.home_slot() } else { None }
    }

    /// Reads the slot of the home value.
    #[inline]
    fn home_slot(&self) -> Option<&H> {
        // SAFETY: private, and called only where this is proven to be the birth thread (`is_current`,
        // or through a `HomeRef`). The slot is written only in `drop_home_if_idle`, at home, while
        // `busy` is zero: every caller either is inside `enter` or counts itself in `busy`.
        unsafe { (*self.home.get()).as_ref() }
    }

    /// Takes one more reference. Must be called at home.
    #[inline]
    fn retain_at_home(&self) {
        if self.closed.get() {
            return self.retain_anywhere();
        }
        self.handed_out.set(self.handed_out.get() + 1);
        if cfg!(target_pointer_width = "32") && self.handed_out.get() >= PAY_AT {
            self.pay();
        }
    }

    /// Takes one more reference, on any thread. The caller's own keeps the block alive.
    #[inline(never)]
    fn retain_anywhere(&self) {
        // Relaxed: the new reference comes from one that is counted.
        if self.refs.fetch_add(1, Ordering::Relaxed) > isize::MAX / 4 * 3 {
            // Only forgotten references can be so many; going on would be unsound.
            std::process::abort();
        }
    }

    /// Pays for what was handed out: the sum of both counts stays, and both are far from their ends. At
    /// home, before the close.
    #[cold]
    fn pay(&self) {
        let handed_out = self.handed_out.replace(0);
        if self.refs.fetch_add(handed_out, Ordering::Relaxed) > isize::MAX / 2 {
            std::process::abort();
        }
    }

    /// Gives one reference back, at home.
    ///
    /// # Safety
    /// 1. The caller owns one reference of `this` and does not use it again.
    /// 2. This is the birth thread.
    #[inline]
    pub(crate) unsafe fn release_at_home(this: NonNull<Self>) {
        // SAFETY: the caller's reference keeps the block alive up to here.
        let block = unsafe { this.as_ref() };
        if block.closed.get() {
            // SAFETY: the caller's reference is passed on.
            unsafe { Self::release_anywhere(this) };
        } else {
            block.handed_out.set(block.handed_out.get() - 1);
        }
    }

    /// Gives one reference back, on any thread.
    ///
    /// # Safety
    /// The caller owns one reference of `this` and does not use it again.
    #[inline(never)]
    pub(crate) unsafe fn release_anywhere(this: NonNull<Self>) {
        // SAFETY: the caller's reference keeps the block alive up to here.
        if unsafe { this.as_ref() }.refs.fetch_sub(1, Ordering::Release) != 1 {
            // From here on others may have freed it.
            return;
        }
        // SAFETY: this was the last reference: nobody else frees it.
        let block = unsafe { this.as_ref() };
        // With the `Release` of all others: their use of the block comes before its end. A load, not a
        // fence: it reads what the subtraction wrote, which continues the release sequences of all those
        // before it; and ThreadSanitizer understands it.
        block.refs.load(Ordering::Acquire);
        // SAFETY: `new` made it by `Box::leak` and `this` comes from there, never from a `&HomeCell`; nobody
        // else refers to it. The home value is gone, so nothing of it is dropped on this thread: before the
        // close the count cannot come to an end, the close is made through a counted `HomeRef`, and so is
        // every frame that was busy then (`with` borrows one, `Entered` owns one): the one that found nobody
        // busy has removed the home value before it gave that reference back.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }

    /// Drops the home value of a closed cell that no frame can see any more.
    #[inline]
    fn drop_home_if_idle(&self) {
        if self.closed.get() {
            self.drop_home_unless_busy();
        }
    }

    /// Once or twice in a loop's life.
    #[cold]
    #[inline(never)]
    fn drop_home_unless_busy(&self) {
        if self.busy.get() == 0 {
            // SAFETY: birth thread (callers hold a `HomeRef`), and `busy == 0`: nobody holds a `&H`.
            let home = unsafe { (*self.home.get()).take() };
            drop(home);
        }
    }
}

/// A counted reference that stays on the birth thread.
pub(crate) struct HomeRef<S, H> {
    block: NonNull<HomeCell<S, H>>,
    not_send: PhantomData<*const ()>,
}

impl<S, H> HomeRef<S, H> {
    /// Makes a block; this thread becomes its home.
    pub(crate) fn new(shared: S, home: H) -> Self {
        let block = Box::leak(Box::new(HomeCell {
            refs: AtomicIsize::new(PREPAID),
            handed_out: Cell::new(1),
            closed: Cell::new(false),
            busy: Cell::new(0),
            shared,
            home: UnsafeCell::new(Some(home)),
        }));
        Self { block: NonNull::from(block), not_send: PhantomData }
    }

    /// Takes one more reference to a block that somebody else keeps alive.
    ///
    /// # Safety
    /// `block` is alive, this is its birth thread, and the pointer comes from a `HomeRef` (by way of
    /// `hand_out` or `current`), not from a `&HomeCell`: the block may be freed through it.
    pub(crate) unsafe fn retain(block: NonNull<HomeCell<S, H>>) -> Self {
        // SAFETY: alive by the caller's word.
        unsafe { block.as_ref() }.retain_at_home();
        Self { block, not_send: PhantomData }
    }

    /// A reference that is not counted: somebody else keeps the block alive for as long as the result is used.
    ///
    /// # Safety
    /// As for [`retain`](Self::retain), as long as the result is used.
    #[inline]
    pub(crate) unsafe fn borrowed(block: NonNull<HomeCell<S, H>>) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self { block, not_send: PhantomData })
    }

    /// The block itself; alive as long as `self`.
    #[inline]
    pub(crate) fn cell(&self) -> &HomeCell<S, H> {
        // SAFETY: this reference is counted.
        unsafe { self.block.as_ref() }
    }

    /// Hands a reference to somebody who counts by hand and gives it back by `release_*`.
    #[inline]
    pub(crate) fn hand_out(&self) -> NonNull<HomeCell<S, H>> {
        self.cell().retain_at_home();
        self.block
    }

    /// Calls `f` with the home value, or returns `None` once the loop is closed.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&H) -> R) -> Option<R> {
        let cell = self.cell();
        cell.home_slot()?;
        let _busy = Busy::new(cell);
        cell.home_slot().map(f)
    }

    /// Makes this the current loop of the thread until the guard is dropped.
    ///
    /// Guards are dropped in the reverse order of their making: each lives in a frame of the kernel, never
    /// in what a user could keep.
    pub(crate) fn enter(&self) -> Entered<S, H> {
        let busy = self.clone();
        busy.cell().busy.set(busy.cell().busy.get() + 1);
        let before = CURRENT.replace(self.block.as_ptr().cast_const().cast());
        Entered { block: busy, before }
    }

    /// Marks the block closed and settles the account; the home value goes as soon as no frame sees it.
    pub(crate) fn close(&self) {
        let cell = self.cell();
        if cell.closed.replace(true) {
            return;
        }
        // `handed_out` references are still held by somebody; the rest was the loop's own.
        let unused = PREPAID - cell.handed_out.get();
        cell.refs.fetch_sub(unused, Ordering::Release);
        cell.drop_home_if_idle();
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.cell().closed.get()
    }
}

impl<S, H> Clone for HomeRef<S, H> {
    fn clone(&self) -> Self {
        Self { block: self.hand_out(), not_send: PhantomData }
    }
}

impl<S, H> Drop for HomeRef<S, H> {
    fn drop(&mut self) {
        // SAFETY: this owns one reference; `HomeRef` is `!Send` and made at home, so this is home.
        unsafe { HomeCell::release_at_home(self.block) };
    }
}

/// Counts a frame that holds a `&H`.
struct Busy<'a, S, H>(&'a HomeCell<S, H>);

impl<'a, S, H> Busy<'a, S, H> {
    fn new(cell: &'a HomeCell<S, H>) -> Self {
        cell.busy.set(cell.busy.get() + 1);
        Self(cell)
    }
}

impl<S, H> Drop for Busy<'_, S, H> {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.drop_home_if_idle();
    }
}

/// The guard of [`HomeRef::enter`].
pub(crate) struct Entered<S, H> {
    block: HomeRef<S, H>,
    before: *const (),
}

impl<S, H> Entered<S, H> {
    /// The home value; `None` once the loop is closed.
    pub(crate) fn home(&self) -> Option<&H> {
        self.block.cell().home_slot()
    }
}

impl<S, H> Drop for Entered<S, H> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
        let cell = self.block.cell();
        cell.busy.set(cell.busy.get() - 1);
        cell.drop_home_if_idle();
    }
}

/// A counted reference for any thread: it reaches the shared face, and the home face where this thread is
/// inside the loop.
pub(crate) struct AwayRef<S, H>(NonNull<HomeCell<S, H>>);

// SAFETY: an `AwayRef` gives out `&S` (hence `S: Sync`), and touches the home value and the plain counter only
// where the loop is current, which it is on its birth thread only. The last one may free the block elsewhere,
// which drops `S` there (hence `S: Send`) and never an `H`: the home value was removed at home, since the loop's
// own references end with its close.
unsafe impl<S: Send + Sync, H> Send for AwayRef<S, H> {}
// SAFETY: as above; all methods take `&self`, and are atomic where the loop is not current.
unsafe impl<S: Send + Sync, H> Sync for AwayRef<S, H> {}

impl<S, H> AwayRef<S, H> {
    /// Makes one at home.
    pub(crate) fn new(home: &HomeRef<S, H>) -> Self {
        Self(home.hand_out())
    }

    /// The face for every thread.
    pub(crate) fn shared(&self) -> &S {
        // SAFETY: this reference is counted.
        unsafe { self.0.as_ref() }.shared()
    }

    /// Whether this thread is inside the loop.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: this reference is counted.
        unsafe { self.0.as_ref() }.is_current()
    }

    /// The home face, if this thread is inside the loop.
    #[inline]
    pub(crate) fn home_if_current(&self) -> Option<&H> {
        // SAFETY: this reference is counted.
        unsafe { self.0.as_ref() }.home_if_current()
    }
}

impl<S, H> Clone for AwayRef<S, H> {
    fn clone(&self) -> Self {
        // SAFETY: this reference is counted. The atomic counter may be used while the loop still counts
        // its own by hand: both add up.
        unsafe { self.0.as_ref() }.retain_anywhere();
        Self(self.0)
    }
}

impl<S, H> Drop for AwayRef<S, H> {
    fn drop(&mut self) {
        if self.is_current() {
            // SAFETY: this owns one reference, and a loop is current on its birth thread only.
            unsafe { HomeCell::release_at_home(self.0) };
        } else {
            // SAFETY: this owns one reference.
            unsafe { HomeCell::release_anywhere(self.0) };
        }
    }
}

/// The block of the loop this thread is in; `None` outside of any.
///
/// The pointer is good as long as the `Entered` guard that made the loop current is on the stack: at least
/// to the end of the caller's own frame, unless that drops the guard itself.
///
/// # Safety
/// Every `HomeCell` that is ever entered in this process has the types `S` and `H`: the thread-local
/// pointer carries no type. (`context.rs` fixes them by a type alias and is the only caller.)
#[inline]
pub(crate) unsafe fn current<S, H>() -> Option<NonNull<HomeCell<S, H>>> {
    NonNull::new(CURRENT.get().cast_mut().cast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    /// These blocks are never entered: `current` knows only those of loops.
    type Ref = HomeRef<Arc<()>, Arc<()>>;

    #[test]
    fn the_home_value_goes_with_the_close_and_the_rest_with_the_last_reference() {
        let (shared, home) = (Arc::new(()), Arc::new(()));
        let block = Ref::new(shared.clone(), home.clone());
        let away = AwayRef::new(&block);
        let again = block.clone();
        block.close();
        assert_eq!((Arc::strong_count(&shared), Arc::strong_count(&home)), (2, 1));
        drop((block, again));
        assert_eq!(Arc::strong_count(&shared), 2);
        thread::spawn(move || drop(away.clone())).join().unwrap();
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn the_home_value_stays_while_a_frame_may_see_it() {
        let home = Arc::new(());
        let block = Ref::new(Arc::new(()), home.clone());
        block.with(|home| {
            block.close();
            assert!(block.is_closed() && block.with(|_| ()).is_some());
            assert_eq!(Arc::strong_count(home), 2);
        });
        assert!(block.with(|_| ()).is_none());
        assert_eq!(Arc::strong_count(&home), 1);
    }

    #[test]
    fn references_that_are_handed_out_here_and_given_back_there_are_paid_anew() {
        let shared = Arc::new(());
        let block = Ref::new(shared.clone(), Arc::new(()));
        // As after so many of them; the block's own is one more.
        block.cell().handed_out.set(PAY_AT);
        block.cell().refs.store(PREPAID - (PAY_AT - 1), Ordering::Relaxed);
        block.cell().pay();
        let away = AwayRef::new(&block);
        assert_eq!(block.cell().refs.load(Ordering::Relaxed) - block.cell().handed_out.get(), PREPAID);
        block.close();
        drop(block);
        assert_eq!(Arc::strong_count(&shared), 2);
        drop(away);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
