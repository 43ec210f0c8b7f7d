//! Wakers that use the very primitive that clones them: who joins a line looks once more, and nobody waits for what has
//! happened already.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use evloop::{Barrier, Event, Lock, OnceCell, Promise, Queue, RwLock, Semaphore};

use crate::busy_waker::{at_clone, poll};

/// What guards borrow for as long as they like.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Drops that when the waker is cloned.
fn at_clone_drop<T: 'static>(value: T) {
    at_clone(move || drop(value));
}

#[test]
fn a_lock_that_is_released_while_a_waker_is_cloned_is_taken() {
    let lock = leak(Lock::new(0));
    at_clone_drop(lock.acquire_nowait().unwrap());
    assert!(poll(lock.acquire()).is_ready());
    assert!(lock.acquire_nowait().is_ok());

    let lock = leak(RwLock::new(0));
    at_clone_drop(lock.write_nowait().unwrap());
    assert!(poll(lock.read()).is_ready());
    at_clone_drop(lock.read_nowait().unwrap());
    assert!(poll(lock.write()).is_ready());
    assert!(lock.write_nowait().is_ok());
}

#[test]
fn a_permit_that_comes_back_while_a_waker_is_cloned_is_taken() {
    let semaphore = leak(Semaphore::new(1));
    at_clone_drop(semaphore.acquire_nowait().unwrap());
    assert!(poll(semaphore.acquire()).is_ready());
    assert_eq!(semaphore.available_permits(), 1);
    at_clone(|| semaphore.add_permits(2));
    assert!(poll(semaphore.acquire_many(3)).is_ready());
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn what_is_set_while_a_waker_is_cloned_is_seen() {
    let event = leak(Event::new());
    at_clone(|| event.set());
    assert!(poll(event.wait()).is_ready());

    let promise = Promise::new();
    at_clone({
        let promise = promise.clone();
        move || promise.set_result(1).unwrap()
    });
    assert_eq!(poll(promise).map(Result::unwrap), Poll::Ready(1));

    let cell = leak(OnceCell::new());
    let mut maker = Box::pin(cell.get_or_init(std::future::pending));
    assert!(maker.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    at_clone(|| cell.set(1).unwrap());
    assert_eq!(poll(cell.get_or_init(async || unreachable!("it was set"))), Poll::Ready(&1));
}

#[test]
fn a_maker_that_goes_while_a_waker_is_cloned_leaves_its_turn() {
    let cell = leak(OnceCell::new());
    let mut maker = Box::pin(cell.get_or_init(std::future::pending));
    assert!(maker.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    at_clone_drop(maker);
    assert_eq!(poll(cell.get_or_init(async || 2)), Poll::Ready(&2));
}

#[test]
fn a_queue_that_changes_while_a_waker_is_cloned_is_looked_at_again() {
    let queue = leak(Queue::new(1));
    at_clone(|| queue.put_nowait(1).unwrap());
    assert_eq!(poll(queue.get()), Poll::Ready(Ok(1)));

    queue.put_nowait(2).unwrap();
    at_clone(|| assert_eq!(queue.get_nowait(), Ok(2)));
    assert_eq!(poll(queue.put(3)), Poll::Ready(Ok(())));

    assert_eq!(queue.get_nowait(), Ok(3));
    at_clone(|| (0..3).for_each(|_| queue.task_done()));
    assert!(poll(queue.join()).is_ready());

    at_clone(|| queue.shutdown());
    assert!(matches!(poll(queue.get()), Poll::Ready(Err(_))));

    let queue = leak(Queue::new(1));
    queue.put_nowait(1).unwrap();
    at_clone(|| queue.shutdown());
    assert!(matches!(poll(queue.put(2)), Poll::Ready(Err(refused)) if refused.0 == 2));
}

#[test]
fn a_party_that_comes_while_a_waker_is_cloned_is_not_missed() {
    let barrier = leak(Barrier::new(2));
    let met = leak(Cell::new(None));
    let other = leak(RefCell::new(Box::pin(barrier.wait())));
    at_clone(|| {
        let polled = other.borrow_mut().as_mut().poll(&mut Context::from_waker(Waker::noop()));
        met.set(Some(polled.is_ready()));
    });
    let mut wait = pin!(barrier.wait());
    let polled = wait.as_mut().poll(&mut Context::from_waker(&crate::busy_waker::busy_waker()));
    assert_eq!(met.get(), Some(false), "it was the first to arrive");
    assert_eq!(polled, Poll::Ready(Ok(1)));
    let polled = other.borrow_mut().as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Ok(0)));
}
