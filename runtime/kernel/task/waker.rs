//! The waker: a real `Send + Sync` std waker that costs plain arithmetic at home.
//!
//! "At home" is one thread-local load and a compare with the header's loop: it chooses between plain and
//! atomic counting, and between FIFO and inbox. Outside of the loop's turn its own thread counts as
//! abroad, which is always correct.

use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::TaskPtr;
use super::state::{Abroad, Then};
use crate::kernel::scheduler::alarm::{Alarm, AlarmVtable, Alarmed};
use crate::kernel::scheduler::{Letter, ReadyList};

pub(super) static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Whether a waker is a task's, of whichever loop: to wake it at home only touches the FIFO, and elsewhere only
/// posts a letter.
#[inline]
pub(crate) fn is_task_waker(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &raw const VTABLE)
}

/// A waker as an alarm: its claim is a reference, as a waker's.
pub(super) const ALARM: AlarmVtable = AlarmVtable { ring, give_up, wakes, is_waker: true };

/// An alarm that does what a task's waker does.
#[inline]
pub(super) fn alarm_of_task(waker: &Waker) -> Alarm {
    debug_assert!(is_task_waker(waker));
    // SAFETY: a waker with our vtable, which keeps its task alive.
    let task = unsafe { TaskPtr::from_data(waker.data()) };
    // SAFETY: alive.
    unsafe { count(task) };
    // SAFETY: the reference just counted is given away, and an entry begins with the head of an alarm.
    unsafe { Alarm::new(task.entry().cast()) }
}

unsafe fn ring(this: NonNull<Alarmed>, _: &ReadyList) {
    // SAFETY: a task's head, as `alarm_of_task` gave it, with the reference that it counted.
    unsafe { wake(this.as_ptr().cast_const().cast()) };
}

unsafe fn give_up(this: NonNull<Alarmed>) {
    // SAFETY: as in `ring`.
    unsafe { drop_waker(this.as_ptr().cast_const().cast()) };
}

unsafe fn wakes(this: NonNull<Alarmed>, waker: &Waker) -> bool {
    is_task_waker(waker) && ptr::eq(waker.data(), this.as_ptr().cast_const().cast())
}

/// Counts one reference more.
///
/// # Safety
/// The task is alive.
#[inline]
unsafe fn count(task: TaskPtr) {
    // SAFETY: the caller's duty.
    let (state, block) = unsafe { (task.state(), task.block()) };
    if block.is_current() { state.clone_at_home() } else { state.clone_abroad() }
}

// For all four: `data` is the address of the header of a task that is kept alive by the waker itself, as
// the contract of `RawWaker` says that each is called with the data of a live waker.

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: see above.
    let task = unsafe { TaskPtr::from_data(data) };
    // SAFETY: the waker that is cloned keeps the task alive.
    unsafe { count(task) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: see above.
    let task = unsafe { TaskPtr::from_data(data) };
    // SAFETY: the waker keeps the task alive, and the task its block.
    if let Some(home) = unsafe { task.block() }.home_if_current() {
        // SAFETY: alive, and at home; the waker's reference ends here.
        return unsafe {
            task.wake_at_home(&home.ready);
            task.release_at_home();
        };
    }
    // SAFETY: see above; by reference first, then the waker itself ends.
    unsafe {
        wake_by_ref(data);
        drop_waker(data);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: see above.
    let task = unsafe { TaskPtr::from_data(data) };
    // SAFETY: the waker keeps the task alive, and the task its block.
    let (state, block) = unsafe { (task.state(), task.block()) };
    if let Some(home) = block.home_if_current() {
        // SAFETY: alive, and at home.
        unsafe { task.wake_at_home(&home.ready) };
    } else if state.notify() == Abroad::Post {
        // SAFETY: NOTIFIED keeps the task alive while the letter travels; `discard_abroad` of a task is
        // made for any thread.
        let letter = unsafe { Letter::new(task.entry()) };
        if let Err(letter) = block.shared().post(letter) {
            // The loop is gone, and so is the task's future.
            letter.discard();
        }
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: see above.
    let task = unsafe { TaskPtr::from_data(data) };
    // SAFETY: alive until this reference is gone.
    let (state, block) = unsafe { (task.state(), task.block()) };
    if block.is_current() {
        // SAFETY: at home, and the waker's reference ends here.
        unsafe { task.release_at_home() };
    } else if state.drop_abroad() == Then::Free {
        // SAFETY: the state says so, after the merge: unmerged counts never answer `Free` abroad.
        unsafe { task.free_abroad() };
    }
}
