//! What happens at a deadline, in one word.
//!
//! There may be millions of timers, and most of them wake a task. A waker takes two words, one of which says no more
//! than that it is a task's; so an alarm is the other one, and finds in the task what a waker brings along.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use super::ReadyList;

/// A claim on something that is to be told when a time has come: used up then, or given up before. It stays on the
/// thread where it was made, which a task that it is set for need not have as its home.
pub(crate) struct Alarm(NonNull<Alarmed>);

/// The head of everything that an alarm can be set for: where its functions are.
#[repr(transparent)]
pub(crate) struct Alarmed(*const AlarmVtable);

/// What happens to something for which an alarm was set. The functions take its first address and may free it.
/// None of them unwinds: they catch what foreign code throws.
#[repr(C)]
pub(crate) struct AlarmVtable {
    /// The time has come. Owns the alarm's claim.
    pub(crate) ring: unsafe fn(NonNull<Alarmed>, &ReadyList),
    /// It will not come. Owns the alarm's claim.
    pub(crate) give_up: unsafe fn(NonNull<Alarmed>),
    /// Whether it does what this waker does. Owns nothing.
    pub(crate) wakes: unsafe fn(NonNull<Alarmed>, &Waker) -> bool,
    /// Whether it wakes somebody who waits, or calls a function.
    pub(crate) is_waker: bool,
}

impl Alarmed {
    /// # Safety
    /// `vtable` points to an `AlarmVtable` that lives for ever, and its functions fit what this becomes the head of.
    pub(crate) const unsafe fn new(vtable: *const AlarmVtable) -> Self {
        Self(vtable)
    }

    /// What `new` was given, with all that may stand behind it.
    #[inline]
    pub(crate) const fn vtable_ptr(&self) -> *const AlarmVtable {
        self.0
    }
}

impl Alarm {
    /// # Safety
    /// `of` is the head of something alive, and the caller gives one claim on it away: of the kind that the functions
    /// of its `AlarmVtable` own. They may be called on this thread.
    #[inline]
    pub(crate) unsafe fn new(of: NonNull<Alarmed>) -> Self {
        Self(of)
    }

    #[inline]
    fn vtable(&self) -> &'static AlarmVtable {
        // SAFETY: alive by the duty of `new`, a pointer that never changes, and by the duty of `Alarmed::new` what it
        // points to lives for ever.
        unsafe { &*self.0.as_ref().vtable_ptr() }
    }

    /// The time has come. `ready` is the FIFO of the loop that this runs in.
    #[inline]
    pub(crate) fn ring(self, ready: &ReadyList) {
        let alarm = ManuallyDrop::new(self);
        // SAFETY: alive, and the claim that `new` was given is passed on.
        unsafe { (alarm.vtable().ring)(alarm.0, ready) };
    }

    /// Whether it wakes whom this waker wakes.
    #[inline]
    pub(crate) fn wakes(&self, waker: &Waker) -> bool {
        // SAFETY: alive by the duty of `new`.
        unsafe { (self.vtable().wakes)(self.0, waker) }
    }

    /// Whether it wakes somebody who waits; else it calls a function.
    pub(crate) fn is_waker(&self) -> bool {
        self.vtable().is_waker
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: alive, and the claim that `new` was given ends here.
        unsafe { (self.vtable().give_up)(self.0) };
    }
}
