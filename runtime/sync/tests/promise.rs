//! `Promise`: one line for waiters and callbacks (scenarios O06, O07), states, taking.

use super::{Count, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{InvalidStateError, Promise};
use crate::{call_soon, create_task, run, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

type Log = Rc<RefCell<Vec<&'static str>>>;

#[test]
fn completion_schedules_waiters_and_callbacks_in_order_of_registration() {
    let log = Log::default();
    run(async {
        let promise = Promise::new();
        let wait = |name| {
            let (log, promise) = (log.clone(), promise.clone());
            async move {
                promise.await.unwrap();
                log.borrow_mut().push(name);
            }
        };
        let note = |name| {
            let log = log.clone();
            move || log.borrow_mut().push(name)
        };
        let _w1 = create_task(wait("w1"));
        yield_now().await;
        let callback = note("cb");
        promise.add_done_callback(move |_| callback());
        let _w2 = create_task(wait("w2"));
        yield_now().await;
        promise.set_result(()).unwrap();
        note("setter goes on")();
        let _ = call_soon(note("soon"));
        yield_now().await;
        note("main")();
    });
    assert_eq!(*log.borrow(), ["setter goes on", "w1", "cb", "w2", "soon", "main"]);
}

#[test]
fn callbacks_can_be_removed_and_added_late() {
    let log = Log::default();
    run(async {
        let promise = Promise::new();
        let add = |name| {
            let log = log.clone();
            promise.add_done_callback(move |p: &Promise<u8>| {
                assert!(p.done());
                log.borrow_mut().push(name);
            })
        };
        let (first, _, third) = (add("c1"), add("c2"), add("c3"));
        let stranger = Promise::<u8>::new();
        assert!(!stranger.remove_done_callback(first));
        assert!(promise.remove_done_callback(first));
        assert!(!promise.remove_done_callback(first));
        assert!(promise.remove_done_callback(third));
        add("c1 again");
        promise.set_result(1).unwrap();
        log.borrow_mut().push("sync done");
        let late = add("late");
        assert!(!promise.remove_done_callback(late));
        assert_eq!(log.borrow().len(), 1);
        yield_now().await;
    });
    assert_eq!(*log.borrow(), ["sync done", "c2", "c1 again", "late"]);
}

#[test]
fn a_running_callback_may_remove_others_that_are_scheduled() {
    let calls = Rc::new(RefCell::new(0));
    run(async {
        let promise = Promise::new();
        let second = Rc::new(RefCell::new(None));
        let (id, count) = (second.clone(), calls.clone());
        promise.add_done_callback(move |p| {
            *count.borrow_mut() += 1;
            assert!(!p.remove_done_callback(id.borrow().unwrap()));
        });
        let count = calls.clone();
        *second.borrow_mut() = Some(promise.add_done_callback(move |_| *count.borrow_mut() += 1));
        promise.set_result(()).unwrap();
        yield_now().await;
    });
    assert_eq!(*calls.borrow(), 2);
}

#[test]
fn a_promise_is_set_once_and_read_often() {
    let promise = Promise::new();
    assert!(!promise.done() && !promise.cancelled() && promise.result().is_none());
    promise.set_result(1).unwrap();
    assert!(promise.done() && !promise.cancelled());
    assert!(promise.set_result(2) == Err(InvalidStateError(2)));
    assert!(!promise.cancel());
    for _ in 0..2 {
        let mut handle = promise.clone();
        assert!(matches!(poll(&mut handle, Waker::noop()), Poll::Ready(Ok(1))));
    }
    assert_eq!(promise.result().unwrap().unwrap(), 1);
    assert_eq!(format!("{promise:?}"), "Promise { state: set, observers: 0 }");
}

#[test]
fn a_cancelled_promise_tells_its_waiters_and_takes_no_value() {
    let (count, waker) = Count::pair();
    let promise = Promise::<u8>::new();
    let mut handle = promise.clone();
    assert!(poll(&mut handle, &waker).is_pending());
    assert!(promise.cancel());
    assert_eq!(count.get(), 1);
    assert!(promise.done() && promise.cancelled() && !promise.cancel());
    assert!(matches!(poll(&mut handle, &waker), Poll::Ready(Err(_))));
    assert_eq!(promise.set_result(3).unwrap_err().0, 3);
    assert!(promise.result().unwrap().is_err());
    assert!(promise.take_result().unwrap().is_err());
}

#[test]
fn an_await_that_is_dropped_leaves_the_line_and_the_promise_alone() {
    let (count, waker) = Count::pair();
    let promise = Promise::<u8>::new();
    let mut awaits: Vec<_> = (0..3).map(|_| (&promise).into_future()).collect();
    for handle in &mut awaits {
        assert!(poll(handle, &waker).is_pending());
        assert!(poll(handle, &waker).is_pending(), "a spurious poll registers nothing anew");
    }
    drop(awaits.remove(1));
    assert_eq!(format!("{promise:?}"), "Promise { state: pending, observers: 2 }");
    assert!(!promise.done());
    promise.set_result(1).unwrap();
    assert_eq!(count.get(), 2);
}

#[test]
fn a_value_that_cannot_be_cloned_is_waited_for_and_taken() {
    struct Token;
    let promise = Promise::new();
    let (count, waker) = Count::pair();
    let mut done = Box::pin(promise.wait_done());
    assert!(poll(&mut done, &waker).is_pending());
    assert!(promise.take_result().is_none());
    promise.set_result(Token).unwrap();
    assert_eq!(count.get(), 1);
    assert!(poll(&mut done, &waker).is_ready());
    assert!(promise.take_result().unwrap().is_ok());
    assert!(promise.take_result().is_none());
    assert!(promise.done());
}

#[test]
#[should_panic(expected = "taken by take_result()")]
fn awaiting_a_taken_value_panics() {
    let mut promise = Promise::new();
    promise.set_result(1).unwrap();
    let _ = promise.take_result();
    let _ = poll(&mut promise, Waker::noop());
}

#[test]
fn a_promise_may_hold_what_is_borrowed() {
    let text = String::from("borrowed");
    let promise = Promise::<&str>::new();
    promise.set_result(&text).unwrap();
    assert_eq!(promise.result().unwrap().unwrap(), "borrowed");
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_the_result() {
    let promise = Promise::new();
    let (count, waker) = Count::pair();
    let (mut first, mut second) = (promise.clone(), promise.clone());
    assert!(poll(&mut first, &panicking_waker()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert!(a_waker_panics_in(|| promise.set_result(1).unwrap()));
    assert_eq!(count.get(), 1);
    assert_eq!(format!("{promise:?}"), "Promise { state: set, observers: 0 }");
}
