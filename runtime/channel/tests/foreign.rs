//! Wakers that panic keep nobody from his call, and lose no slot.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::channel::mpsc::SendError;
use crate::channel::{broadcast, mpsc, oneshot, watch};
use crate::sync::tests::Count;

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

fn panics() -> Waker {
    Waker::from(Arc::new(Panics))
}

/// Polls a future once.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn a_batch_calls_all_whose_slots_it_leaves_behind() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let (mut first, mut second) = (pin!(sender.send(3)), pin!(sender.send(4)));
    let (count, waker) = Count::pair();
    assert!(poll(first.as_mut(), &panics()).is_pending());
    assert!(poll(second.as_mut(), &waker).is_pending());

    let mut batch = Vec::new();
    let received =
        catch_unwind(AssertUnwindSafe(|| poll(pin!(receiver.recv_many(&mut batch, 9)), Waker::noop())));
    assert!(received.is_err(), "the panic goes on");
    assert_eq!(batch, [1, 2], "and what was received is there");
    assert_eq!(count.get(), 1);
    assert_eq!(sender.capacity(), 0, "both slots are reserved");
    assert!(poll(second, Waker::noop()).is_ready());
    assert!(poll(first, Waker::noop()).is_ready());
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(4), Ok(3)));
    assert_eq!(sender.capacity(), 2);
}

#[test]
fn slots_that_nobody_wants_are_free_after_a_panic() {
    let (sender, mut receiver) = mpsc::channel(3);
    for n in 0..3 {
        sender.try_send(n).unwrap();
    }
    let mut waiting = pin!(sender.send(3));
    assert!(poll(waiting.as_mut(), &panics()).is_pending());
    let mut batch = Vec::new();
    let received =
        catch_unwind(AssertUnwindSafe(|| poll(pin!(receiver.recv_many(&mut batch, 9)), Waker::noop())));
    assert!(received.is_err());
    assert_eq!((batch.len(), sender.capacity()), (3, 2));
    assert!(poll(waiting, Waker::noop()).is_ready());
    assert_eq!(sender.capacity(), 2);
}

#[test]
fn a_receiver_that_goes_calls_all_and_drops_what_is_in() {
    let (sender, receiver) = mpsc::channel(1);
    let value = Rc::new(());
    sender.try_send(value.clone()).unwrap();
    let (mut first, mut second) = (pin!(sender.send(value.clone())), pin!(sender.send(value.clone())));
    let mut closed = pin!(sender.closed());
    let ((sends, send_waker), (closes, closed_waker)) = (Count::pair(), Count::pair());
    assert!(poll(first.as_mut(), &panics()).is_pending());
    assert!(poll(second.as_mut(), &send_waker).is_pending());
    assert!(poll(closed.as_mut(), &closed_waker).is_pending());

    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!((sends.get(), closes.get()), (1, 1));
    let Poll::Ready(Err(SendError(back))) = poll(second, Waker::noop()) else { panic!("it failed") };
    assert!(Rc::ptr_eq(&back, &value));
    assert!(poll(closed, Waker::noop()).is_ready());
    drop(back);
    // Ours and the first one's.
    assert_eq!(Rc::strong_count(&value), 2, "what was in the channel is gone");
}

#[test]
fn a_sender_whose_receivers_waker_panics_has_sent() {
    let (sender, mut receiver) = mpsc::channel(1);
    {
        let mut recv = pin!(receiver.recv());
        assert!(poll(recv.as_mut(), &panics()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| sender.try_send(1))).is_err());
        assert_eq!(poll(recv, Waker::noop()), Poll::Ready(Some(1)));
    }
    let (count, waker) = Count::pair();
    let mut recv = pin!(receiver.recv());
    assert!(poll(recv.as_mut(), &waker).is_pending());
    sender.try_send(2).unwrap();
    assert_eq!(count.get(), 1, "the next one is woken");
}

#[test]
fn broadcast_and_watch_call_all_receivers() {
    let (sender, mut first) = broadcast::channel(1);
    let mut second = sender.subscribe();
    {
        let (mut one, mut two) = (pin!(first.recv()), pin!(second.recv()));
        let (count, waker) = Count::pair();
        assert!(poll(one.as_mut(), &panics()).is_pending());
        assert!(poll(two.as_mut(), &waker).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| sender.send(1))).is_err());
        assert_eq!(count.get(), 1);
        assert_eq!(poll(one, Waker::noop()), Poll::Ready(Ok(1)));
        assert_eq!(poll(two, Waker::noop()), Poll::Ready(Ok(1)));
    }

    let (sender, mut first) = watch::channel(1);
    let mut second = first.clone();
    let (mut one, mut two) = (pin!(first.changed()), pin!(second.changed()));
    let (count, waker) = Count::pair();
    assert!(poll(one.as_mut(), &panics()).is_pending());
    assert!(poll(two.as_mut(), &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| sender.send(2))).is_err());
    assert_eq!(count.get(), 1);
    assert!(poll(one, Waker::noop()).is_ready() && poll(two, Waker::noop()).is_ready());
}

#[test]
fn a_closure_that_panics_leaves_the_value_in_its_place_and_tells_nobody() {
    let (sender, mut receiver) = watch::channel(vec![1]);
    let (count, waker) = Count::pair();
    let mut changed = pin!(receiver.changed());
    assert!(poll(changed.as_mut(), &waker).is_pending());
    let modified = catch_unwind(AssertUnwindSafe(|| {
        sender.send_modify(|list| {
            list.push(2);
            panic!("half done");
        });
    }));
    assert!(modified.is_err());
    assert_eq!((count.get(), &**sender.borrow()), (0, &[1, 2][..]));
    sender.send_modify(|list| list.push(3));
    assert_eq!((count.get(), &**sender.borrow()), (1, &[1, 2, 3][..]));
}

#[test]
fn a_reply_whose_receivers_waker_panics_is_there() {
    let (sender, receiver) = oneshot::channel();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut(), &panics()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| sender.send(1))).is_err());
    assert_eq!(poll(receiver, Waker::noop()), Poll::Ready(Ok(1)));
}

#[test]
fn a_waker_is_kept_from_wait_to_wait_and_given_back_with_the_receiver() {
    let (sender, mut receiver) = mpsc::channel(1);
    let (count, waker) = Count::pair();
    for n in 1..=3 {
        let mut recv = pin!(receiver.recv());
        assert!(poll(recv.as_mut(), &waker).is_pending());
        assert_eq!(Arc::strong_count(&count), 3, "ours, the waker's, the channel's");
        sender.try_send(n).unwrap();
        assert_eq!(count.get(), n);
        assert_eq!(poll(recv, &waker), Poll::Ready(Some(n)));
    }
    {
        let mut recv = pin!(receiver.recv());
        assert!(poll(recv.as_mut(), &waker).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 2, "a wait that was given up leaves nothing");
    sender.try_send(4).unwrap();
    assert_eq!(count.get(), 3, "nobody waits");
    assert_eq!(receiver.try_recv(), Ok(4));
    assert!(poll(pin!(receiver.recv()), &waker).is_pending());
    drop(receiver);
    assert_eq!(Arc::strong_count(&count), 2);
}
