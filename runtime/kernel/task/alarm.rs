//! Alarms that wake: a task, in one word, or whomever a waker wakes that is no task's.

use std::ptr::NonNull;
use std::task::Waker;

use super::waker::{alarm_of_task, is_task_waker};
use crate::kernel::report::guarded;
use crate::kernel::scheduler::ReadyList;
use crate::kernel::scheduler::alarm::{Alarm, AlarmVtable, Alarmed};

/// An alarm that does what the waker does.
#[inline]
pub(crate) fn alarm_for(waker: &Waker) -> Alarm {
    if is_task_waker(waker) { alarm_of_task(waker) } else { boxed(waker) }
}

/// A waker that an alarm can point to.
#[repr(C)]
struct Boxed {
    head: Alarmed,
    waker: Waker,
}

static BOXED: AlarmVtable = AlarmVtable { ring, give_up, wakes, is_waker: true };

#[inline(never)]
fn boxed(waker: &Waker) -> Alarm {
    // SAFETY: a static, whose functions are for a `Boxed`.
    let head = unsafe { Alarmed::new(&raw const BOXED) };
    let waker = Box::new(Boxed { head, waker: waker.clone() });
    // SAFETY: the head is the first field of a box that is given away.
    unsafe { Alarm::new(NonNull::from(Box::leak(waker)).cast()) }
}

// For all three: `this` is the head of a `Boxed`, alive, as `boxed` has made it.

unsafe fn ring(this: NonNull<Alarmed>, _: &ReadyList) {
    // SAFETY: see above; leaked by `boxed`, and the claim on it is this call's.
    let boxed = unsafe { Box::from_raw(this.cast::<Boxed>().as_ptr()) };
    guarded("a waker panicked", || boxed.waker.wake());
}

unsafe fn give_up(this: NonNull<Alarmed>) {
    // SAFETY: as in `ring`.
    let boxed = unsafe { Box::from_raw(this.cast::<Boxed>().as_ptr()) };
    guarded("a waker panicked when it was dropped", || drop(boxed));
}

unsafe fn wakes(this: NonNull<Alarmed>, waker: &Waker) -> bool {
    // SAFETY: see above.
    unsafe { this.cast::<Boxed>().as_ref() }.waker.will_wake(waker)
}
