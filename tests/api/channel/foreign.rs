//! Destructors, clones and wakers that use the very channel that is in the middle of something.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use evloop::channel::mpsc::{TryRecvError, TrySendError};
use evloop::channel::{broadcast, mpsc, oneshot, thread, watch};

use crate::busy_waker::{at_clone, at_wake, busy_waker, poll};
use crate::support::{Log, OnDrop};

#[test]
fn what_happens_while_a_waker_is_cloned_is_seen() {
    let (sender, mut receiver) = mpsc::channel(1);
    at_clone({
        let sender = sender.clone();
        move || sender.try_send(1).unwrap()
    });
    assert_eq!(poll(receiver.recv()), Poll::Ready(Some(1)));

    let (sender, mut receiver) = mpsc::channel(1);
    at_clone(move || drop(sender));
    assert_eq!(poll(receiver.recv()), Poll::Ready(None::<u8>));

    let (sender, receiver) = mpsc::channel(1);
    let receiver = Rc::new(RefCell::new(receiver));
    sender.try_send(1).unwrap();
    at_clone({
        let receiver = receiver.clone();
        move || assert_eq!(receiver.borrow_mut().try_recv(), Ok(1))
    });
    assert!(poll(sender.send(2)).is_ready());
    assert_eq!((sender.len(), sender.capacity()), (1, 0));

    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    at_clone(move || drop(receiver));
    assert!(matches!(poll(sender.send(2)), Poll::Ready(Err(_))));

    let (sender, receiver) = mpsc::channel::<u8>(1);
    at_clone(move || drop(receiver));
    assert!(poll(sender.closed()).is_ready());

    let (sender, receiver) = oneshot::channel();
    at_clone(move || sender.send(1).unwrap());
    assert_eq!(poll(receiver), Poll::Ready(Ok(1)));

    let (mut sender, receiver) = oneshot::channel::<u8>();
    at_clone(move || drop(receiver));
    assert!(poll(sender.closed()).is_ready());

    let (sender, mut receiver) = broadcast::channel(1);
    at_clone(move || assert_eq!(sender.send(1).unwrap(), 1));
    assert_eq!(poll(receiver.recv()), Poll::Ready(Ok(1)));

    let (sender, receiver) = broadcast::channel::<u8>(1);
    at_clone(move || drop(receiver));
    assert!(poll(sender.closed()).is_ready());

    let (sender, receiver) = thread::channel::<u8>(1);
    at_clone(move || drop(receiver));
    assert!(poll(sender.closed()).is_ready());

    let (sender, mut receiver) = watch::channel(0);
    at_clone(move || sender.send(1).unwrap());
    assert_eq!(poll(receiver.changed()), Poll::Ready(Ok(())));

    let (sender, receiver) = watch::channel(0);
    at_clone(move || drop(receiver));
    assert!(poll(sender.closed()).is_ready());
}

#[test]
fn a_waker_may_use_the_channel_that_wakes_it() {
    let (sender, mut receiver) = mpsc::channel(2);
    assert!(poll(receiver.recv()).is_pending()); // leaves nothing
    let mut recv = Box::pin(receiver.recv());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&busy_waker())).is_pending());
    let second = Rc::new(RefCell::new(None));
    at_wake({
        let (sender, second) = (sender.clone(), second.clone());
        move || *second.borrow_mut() = Some(sender.try_send(2))
    });
    sender.try_send(1).unwrap();
    assert_eq!(second.take(), Some(Ok(())));
    assert_eq!(recv.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(1)));
    drop(recv);
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_value_that_is_dropped_with_the_receiver_finds_the_channel_closed() {
    let log = Log::new();
    let (sender, receiver) = mpsc::unbounded::<Box<dyn std::any::Any>>();
    for name in ["first", "second"] {
        let (log, other) = (log.clone(), sender.clone());
        let value: Box<dyn std::any::Any> = Box::new(OnDrop::new(move || {
            log.push(format!("{name}: len {}, closed {}", other.len(), other.is_closed()));
            assert!(other.send(Box::new(())).is_err());
        }));
        sender.send(value).unwrap();
    }
    drop(receiver);
    assert_eq!(log.take(), ["first: len 0, closed true", "second: len 0, closed true"]);
}

#[test]
fn a_value_may_send_when_it_is_dropped() {
    struct Last(Rc<Cell<Option<mpsc::Sender<Last>>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                let nothing = Rc::new(Cell::new(None));
                assert!(matches!(
                    sender.try_send(Last(nothing.clone())),
                    Ok(()) | Err(TrySendError::Closed(_))
                ));
            }
        }
    }
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(Last(Rc::new(Cell::new(Some(sender.clone()))))).ok().unwrap();
    drop(sender);
    drop(receiver.try_recv().ok().unwrap());
    assert!(receiver.try_recv().is_ok(), "sent by the first one's destructor");
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Closed)));
}

#[test]
fn a_value_of_a_broadcast_may_use_it_when_it_is_given_up_or_cloned() {
    struct Value(broadcast::Sender<Value>, Rc<Cell<usize>>);
    impl Clone for Value {
        fn clone(&self) -> Self {
            self.1.set(self.1.get() + 100 * self.0.len());
            Value(self.0.clone(), self.1.clone())
        }
    }
    impl Drop for Value {
        fn drop(&mut self) {
            self.1.set(self.1.get() + self.0.len());
        }
    }
    let seen = Rc::new(Cell::new(0));
    let (sender, mut receiver) = broadcast::channel(1);
    let other = sender.subscribe();
    assert!(sender.send(Value(sender.clone(), seen.clone())).is_ok());
    assert!(sender.send(Value(sender.clone(), seen.clone())).is_ok());
    assert_eq!(seen.replace(0), 1, "the new one was in already");
    assert!(receiver.try_recv().is_err(), "one was missed");
    let clone = receiver.try_recv().ok().unwrap();
    assert_eq!(seen.replace(0), 100, "a clone, for the other one has not seen it");
    drop(other);
    assert_eq!(seen.get(), 0, "it was taken out before");
    drop(clone);
}

#[test]
fn a_value_that_is_replaced_may_look_at_its_successor() {
    #[derive(Clone)]
    struct Value(u8, Rc<RefCell<Vec<u8>>>, Rc<RefCell<Option<watch::Receiver<Value>>>>);
    impl Drop for Value {
        fn drop(&mut self) {
            if let Some(receiver) = &*self.2.borrow() {
                self.1.borrow_mut().push(receiver.borrow().0);
            }
        }
    }
    let (seen, slot) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(None)));
    let value = |n| Value(n, seen.clone(), slot.clone());
    let (sender, receiver) = watch::channel(value(1));
    slot.replace(Some(receiver));
    assert!(sender.send(value(2)).is_ok());
    drop(sender.send_replace(value(3)));
    assert_eq!(*seen.borrow(), [2, 3]);
    drop(slot.take());
}

#[test]
fn a_value_that_is_refused_while_the_latest_is_modified_is_told_why() {
    #[derive(Clone)]
    struct Value(Rc<RefCell<Option<watch::Receiver<Value>>>>);
    impl Drop for Value {
        fn drop(&mut self) {
            if let Some(receiver) = &*self.0.borrow() {
                let _ = receiver.borrow();
            }
        }
    }
    let slot = Rc::new(RefCell::new(None));
    let (sender, receiver) = watch::channel(Value(slot.clone()));
    slot.replace(Some(receiver));
    let refused = catch_unwind(AssertUnwindSafe(|| {
        sender.send_modify(|_| drop(sender.send_replace(Value(slot.clone()))));
    }));
    let payload = refused.unwrap_err();
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
    assert!(message.unwrap().starts_with("the value is being modified"), "{message:?}");
    assert!(!slot.borrow().as_ref().unwrap().has_changed().unwrap());
    drop(slot.take());
}
