//! A waker that acts when it is cloned or woken: foreign code in the middle of a poll.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

thread_local! {
    static AT_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static AT_WAKE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| ());

fn clone(data: *const ()) -> RawWaker {
    if let Some(act) = AT_CLONE.take() {
        act();
    }
    RawWaker::new(data, &VTABLE)
}

fn wake(_: *const ()) {
    if let Some(act) = AT_WAKE.take() {
        act();
    }
}

/// A waker that acts when it is cloned or woken for the first time.
pub(crate) fn busy_waker() -> Waker {
    // SAFETY: the functions of the table ask nothing of the pointer and may be called anywhere; on another thread
    // there is nothing to do.
    unsafe { Waker::new(std::ptr::null(), &VTABLE) }
}

pub(crate) fn at_clone(act: impl FnOnce() + 'static) {
    AT_CLONE.set(Some(Box::new(act)));
}

pub(crate) fn at_wake(act: impl FnOnce() + 'static) {
    AT_WAKE.set(Some(Box::new(act)));
}

/// Polls once with that waker.
pub(crate) fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(&busy_waker()))
}
