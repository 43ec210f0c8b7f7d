//! Both ends of the channel between loops and threads.
//!
//! Who waits for its other end waits for the outside, so that time would pass at real pace: here it never does, since
//! somebody is always ready.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::channel::thread::channel;
use evloop::testing::{Run, settle};
use evloop::{Lock, create_task, yield_now};

use super::everywhere;

type Sink<T> = Rc<RefCell<Vec<T>>>;

#[test]
fn recv() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = channel(10);
        // Who comes next goes on with it.
        let (receiver, got) = (Rc::new(Lock::new(receiver)), Sink::default());
        let take_two = {
            let (receiver, got) = (receiver.clone(), got.clone());
            async move {
                let mut receiver = receiver.acquire_nowait().unwrap();
                for _ in 0..2 {
                    let item = receiver.recv().await.unwrap();
                    got.borrow_mut().push(item);
                }
            }
        };
        let feeder = create_task(async move {
            for item in 0..4 {
                settle().await;
                sender.send(item).await.unwrap();
            }
        });
        (take_two, async move |_: &Run<_>| {
            let mut receiver = receiver.acquire_nowait().unwrap();
            assert!(!receiver.stats().receiver_waits, "whoever has gone is not called");
            feeder.await.unwrap();
            while let Some(item) = receiver.recv().await {
                got.borrow_mut().push(item);
            }
            assert_eq!(*got.borrow(), [0, 1, 2, 3], "nothing is lost, nothing comes twice");
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@0",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@0",
            "1 woken: Cancelled@0",
            "2 woken: Cancelled@0"
        ]
    );
}

#[test]
fn send() {
    let outcomes = everywhere(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send("full").unwrap();
        let (sent, weak) = (Sink::default(), sender.clone());
        let send_two = {
            let (sender, sent) = (sender.clone(), sent.clone());
            async move {
                for item in ["one", "two"] {
                    sender.send(item).await.unwrap();
                    sent.borrow_mut().push(item);
                }
            }
        };
        let rival = create_task(async move {
            yield_now().await;
            sender.send("rival").await.unwrap();
        });
        let consumer = create_task(async move {
            let mut taken = Vec::new();
            loop {
                settle().await;
                match receiver.recv().await {
                    Some(item) => taken.push(item),
                    None => return taken,
                }
            }
        });
        (send_two, async move |_: &Run<_>| {
            rival.await.unwrap();
            assert_eq!(weak.stats().waiting_senders, 0, "whoever has gone is not in line");
            drop(weak);
            let taken = consumer.await.unwrap();
            assert_eq!(taken[0], "full");
            assert_eq!(taken.iter().filter(|item| **item == "rival").count(), 1, "it has its turn");
            let ours = taken.into_iter().filter(|item| !["full", "rival"].contains(item));
            assert!(ours.eq(sent.borrow().iter().copied()), "sent is what says so, and nothing else");
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@0",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@0",
            "1 woken: Cancelled@0",
            "2 woken: Cancelled@0"
        ]
    );
}
