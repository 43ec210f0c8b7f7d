//! What tasks wait for at the ends of channels. Whatever becomes of the future under test, no value is lost, nobody's slot
//! is, and who else waits gets his turn.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::channel::{broadcast, mpsc, oneshot, watch};
use evloop::testing::{Ended, Run};
use evloop::time::secs;
use evloop::{Lock, create_task, now, sleep, yield_now};

use super::everywhere;

/// The outcomes of a future that waits twice and has its turns after one and two seconds.
fn waits_twice(value: &str) -> Vec<String> {
    let before = [
        "0: Cancelled@0",
        "1: Cancelled@0",
        "2: Cancelled@1",
        "1 woken: Cancelled@1",
        "2 woken: Cancelled@2",
    ];
    std::iter::once(format!("{value}@2")).chain(before.map(str::to_owned)).collect()
}

/// The outcomes of a future that waits once, for two seconds.
fn waits_once(value: &str) -> Vec<String> {
    let before = ["0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@2"];
    std::iter::once(format!("{value}@2")).chain(before.map(str::to_owned)).collect()
}

/// Does something each second, four times, with the number of the time.
async fn each_second(mut act: impl AsyncFnMut(i32)) {
    for n in 0..4 {
        sleep(secs(1)).await;
        act(n).await;
    }
}

#[test]
fn mpsc_recv() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = mpsc::channel(1);
        let (receiver, got) = (Rc::new(Lock::new(receiver)), Rc::new(RefCell::new(Vec::new())));
        let producer = create_task(each_second(async move |n| sender.send(n).await.unwrap()));
        let take_two = {
            let (receiver, got) = (receiver.clone(), got.clone());
            async move {
                for _ in 0..2 {
                    let n = receiver.acquire().await.recv().await.unwrap();
                    got.borrow_mut().push(n);
                }
            }
        };
        (take_two, async move |_: &Run<_>| {
            let mut receiver = receiver.acquire_nowait().expect("nobody else receives");
            assert!(!receiver.stats().receiver_waits);
            while let Some(n) = receiver.recv().await {
                got.borrow_mut().push(n);
            }
            producer.await.unwrap();
            assert_eq!(*got.borrow(), [0, 1, 2, 3], "nothing is lost, nothing comes twice");
        })
    });
    assert_eq!(outcomes, waits_twice("()"));
}

#[test]
fn mpsc_recv_many() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = mpsc::channel(1);
        let state = Rc::new(Lock::new((receiver, Vec::new())));
        let producer = create_task(each_second(async move |n| sender.send(n).await.unwrap()));
        let take_two = {
            let state = state.clone();
            async move {
                let (receiver, batch) = &mut *state.acquire().await;
                for _ in 0..2 {
                    assert_eq!(receiver.recv_many(batch, 9).await, 1);
                }
            }
        };
        (take_two, async move |_: &Run<_>| {
            let (receiver, batch) = &mut *state.acquire_nowait().expect("nobody else receives");
            while receiver.recv_many(batch, 9).await > 0 {}
            producer.await.unwrap();
            assert_eq!(*batch, [0, 1, 2, 3], "nothing is lost, nothing comes twice");
        })
    });
    assert_eq!(outcomes, waits_twice("()"));
}

#[test]
fn mpsc_send() {
    let outcomes = everywhere(|| {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send("full").unwrap();
        let stored = Rc::new(RefCell::new(vec!["full"]));
        let send_two = {
            let (sender, stored) = (sender.clone(), stored.clone());
            async move {
                for value in ["one", "two"] {
                    sender.send(value).await.unwrap();
                    stored.borrow_mut().push(value);
                }
            }
        };
        let rival = create_task({
            let (sender, stored) = (sender.clone(), stored.clone());
            async move {
                yield_now().await;
                sender.send("rival").await.unwrap();
                stored.borrow_mut().push("rival");
            }
        });
        let consumer = create_task(async move {
            let mut taken = Vec::new();
            loop {
                sleep(secs(1)).await;
                match receiver.recv().await {
                    Some(value) => taken.push(value),
                    None => return taken,
                }
            }
        });
        (send_two, async move |_: &Run<_>| {
            let stats = sender.stats();
            assert!(
                sender.capacity() == 0 || stats.waiting_senders == 0,
                "nobody waits where there is a slot"
            );
            rival.await.unwrap();
            drop(sender);
            assert_eq!(
                consumer.await.unwrap(),
                *stored.borrow(),
                "what was stored is there, and nothing else"
            );
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ],
        "the rival is in line before the second one"
    );
}

#[test]
fn mpsc_reserve() {
    let outcomes = everywhere(|| {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send("full").unwrap();
        let send_later = {
            let sender = sender.clone();
            async move {
                let permit = sender.reserve().await.unwrap();
                sleep(secs(1)).await;
                permit.send("ours").unwrap();
            }
        };
        let rival = create_task({
            let sender = sender.clone();
            async move {
                yield_now().await;
                sender.send("rival").await.unwrap();
            }
        });
        let consumer = create_task(async move {
            let mut taken = Vec::new();
            loop {
                sleep(secs(1)).await;
                match receiver.recv().await {
                    Some(value) => taken.push(value),
                    None => return taken,
                }
            }
        });
        (send_later, async move |run: &Run<_>| {
            rival.await.unwrap();
            drop(sender);
            let expected: &[_] =
                if run.is_undisturbed() { &["full", "ours", "rival"] } else { &["full", "rival"] };
            assert_eq!(consumer.await.unwrap(), expected, "the slot goes to the next");
        })
    });
    assert_eq!(outcomes, waits_twice("()"), "in line, and with the permit");
}

#[test]
fn mpsc_closed() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = mpsc::channel::<u8>(1);
        let closed = || {
            let sender = sender.clone();
            async move { sender.closed().await }
        };
        let (rival, start) = (create_task(closed()), now());
        let closer = create_task(async move {
            sleep(secs(2)).await;
            drop(receiver);
        });
        (closed(), async move |_: &Run<_>| {
            rival.await.unwrap();
            assert_eq!(now() - start, secs(2), "who else waits is told in time");
            closer.await.unwrap();
        })
    });
    assert_eq!(outcomes, waits_once("()"));
}

#[test]
fn oneshot_receiver() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = oneshot::channel();
        let receiver = Rc::new(Lock::new(receiver));
        let setter = create_task(async move {
            sleep(secs(2)).await;
            sender.send(7).unwrap();
        });
        let ours = receiver.clone();
        let wait = async move { (&mut *ours.acquire().await).await.unwrap() };
        (wait, async move |run: &Run<_>| {
            if !matches!(run.ended, Ended::Value(_)) {
                let mut receiver = receiver.acquire_nowait().expect("nobody else waits");
                assert_eq!((&mut *receiver).await, Ok(7), "it is still to be had");
            }
            setter.await.unwrap();
        })
    });
    assert_eq!(outcomes, waits_once("7"));
}

#[test]
fn oneshot_closed() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = oneshot::channel::<u8>();
        let sender = Rc::new(Lock::new(sender));
        let closer = create_task(async move {
            sleep(secs(2)).await;
            drop(receiver);
        });
        let ours = sender.clone();
        (async move { ours.acquire().await.closed().await }, async move |_: &Run<_>| {
            sender.acquire_nowait().expect("nobody else waits").closed().await;
            closer.await.unwrap();
        })
    });
    assert_eq!(outcomes, waits_once("()"));
}

#[test]
fn broadcast_recv() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = broadcast::channel(4);
        let mut other = sender.subscribe();
        let rival = create_task(async move {
            let mut got = Vec::new();
            while let Ok(n) = other.recv().await {
                got.push(n);
            }
            got
        });
        let (receiver, got) = (Rc::new(Lock::new(receiver)), Rc::new(RefCell::new(Vec::new())));
        let producer = create_task(each_second(async move |n| assert_eq!(sender.send(n).unwrap(), 2)));
        let take_two = {
            let (receiver, got) = (receiver.clone(), got.clone());
            async move {
                for _ in 0..2 {
                    let n = receiver.acquire().await.recv().await.unwrap();
                    got.borrow_mut().push(n);
                }
            }
        };
        (take_two, async move |_: &Run<_>| {
            let mut receiver = receiver.acquire_nowait().expect("nobody else receives here");
            while let Ok(n) = receiver.recv().await {
                got.borrow_mut().push(n);
            }
            producer.await.unwrap();
            assert_eq!(*got.borrow(), [0, 1, 2, 3], "nothing is lost, nothing comes twice");
            assert_eq!(rival.await.unwrap(), [0, 1, 2, 3]);
        })
    });
    assert_eq!(outcomes, waits_twice("()"));
}

#[test]
fn watch_wait_for_and_changed() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = watch::channel(-1);
        let (mut other, start) = (receiver.clone(), now());
        let rival = create_task(async move {
            let mut seen = Vec::new();
            while other.changed().await.is_ok() {
                seen.push((*other.borrow(), (now() - start).as_secs()));
            }
            seen
        });
        let producer = create_task(each_second(async move |n| sender.send(n).unwrap()));
        let receiver = Rc::new(Lock::new(receiver));
        let ours = receiver.clone();
        let wait = async move { *ours.acquire().await.wait_for(|n| *n >= 1).await.unwrap() };
        (wait, async move |_: &Run<_>| {
            let mut receiver = receiver.acquire_nowait().expect("nobody else waits here");
            assert!(*receiver.wait_for(|n| *n >= 1).await.unwrap() >= 1);
            assert_eq!(now() - start, secs(2));
            assert_eq!(rival.await.unwrap(), [(0, 1), (1, 2), (2, 3), (3, 4)]);
            producer.await.unwrap();
        })
    });
    assert_eq!(outcomes, waits_twice("1"));
}

#[test]
fn watch_closed() {
    let outcomes = everywhere(|| {
        let (sender, receiver) = watch::channel(());
        let closed = || {
            let sender = sender.clone();
            async move { sender.closed().await }
        };
        let (rival, start) = (create_task(closed()), now());
        let closer = create_task(async move {
            sleep(secs(2)).await;
            drop(receiver);
        });
        (closed(), async move |_: &Run<_>| {
            rival.await.unwrap();
            assert_eq!(now() - start, secs(2), "who else waits is told in time");
            closer.await.unwrap();
        })
    });
    assert_eq!(outcomes, waits_once("()"));
}
