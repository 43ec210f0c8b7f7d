//! `Event`: calls, polls nobody asked for, wakers that panic.

use super::{Count, poll};
use crate::sync::Event;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

#[test]
fn a_spurious_poll_keeps_the_place_and_takes_the_newest_waker() {
    let event = Event::new();
    let ((old, old_waker), (new, new_waker)) = (Count::pair(), Count::pair());
    let mut wait = Box::pin(event.wait());
    assert!(poll(&mut wait, &old_waker).is_pending());
    assert!(poll(&mut wait, &new_waker).is_pending());
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 1 }");
    event.set();
    event.set();
    assert_eq!((old.get(), new.get()), (0, 1));
    event.clear();
    assert_eq!(poll(&mut wait, Waker::noop()), Poll::Ready(()));
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }");
}

#[test]
fn a_waker_that_panics_keeps_nobody_waiting() {
    let event = Event::new();
    let (count, waker) = Count::pair();
    let mut first = Box::pin(event.wait());
    let mut second = Box::pin(event.wait());
    assert!(poll(&mut first, &Waker::from(Arc::new(Panicking))).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| event.set())).is_err());
    assert_eq!(count.get(), 1);
    assert!(event.is_set());
    assert!(poll(&mut first, Waker::noop()).is_ready() && poll(&mut second, Waker::noop()).is_ready());
}
