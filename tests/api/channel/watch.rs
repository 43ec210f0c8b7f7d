//! `channel::watch`: the latest value, snapshots that are in nobody's way.

use std::rc::Rc;

use evloop::channel::watch::{self, RecvError, SendError, Snapshot};
use evloop::time::secs;
use evloop::{create_task, now, sleep, wait_for, yield_now};

use crate::support::Log;

#[evloop::test(order = "fifo")]
async fn receivers_see_the_latest_value_when_they_run() {
    let log = Log::new();
    let (sender, receiver) = watch::channel(0);
    let tasks = ["a", "b"].map(|name| {
        let (mut receiver, log) = (receiver.clone(), log.clone());
        create_task(async move {
            while receiver.changed().await.is_ok() {
                log.push_at(format!("{name} {}", *receiver.borrow()));
            }
            log.push_at(format!("{name} ends"));
        })
    });
    yield_now().await;
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    yield_now().await;
    sender.send(3).unwrap();
    drop(sender); // what was not seen is reported before the end
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log.take(), ["3:a 2", "3:b 2", "4:a 3", "4:a ends", "4:b 3", "4:b ends"]);
    assert_eq!(*receiver.borrow(), 3, "the value outlives its senders");
}

#[evloop::test]
async fn what_was_borrowed_stands_in_nobodys_way() {
    let (sender, mut receiver) = watch::channel(vec![1]);
    let before = receiver.borrow();
    let task = create_task(async move {
        sender.send_modify(|list| list.push(2)); // on a copy
        let between = sender.borrow();
        sender.send(vec![3]).unwrap();
        (between, sender)
    });
    let (between, sender) = task.await.unwrap();
    assert_eq!((&**before, &**between, &**receiver.borrow_and_update()), (&[1][..], &[1, 2][..], &[3][..]));
    assert_eq!(Snapshot::try_unwrap(before).unwrap(), [1], "nobody else has it");
    let latest = sender.borrow();
    assert!(Snapshot::try_unwrap(latest.clone()).is_err());
    assert_eq!(format!("{latest:?}"), "Snapshot([3])");
}

#[evloop::test]
async fn a_value_is_modified_in_place_where_nobody_has_a_snapshot() {
    #[derive(Debug)]
    struct Once(u8);
    impl Clone for Once {
        fn clone(&self) -> Self {
            unreachable!("nobody has a snapshot")
        }
    }
    let (sender, receiver) = watch::channel(Once(1));
    sender.send_modify(|value| value.0 += 1);
    assert_eq!(receiver.borrow().0, 2);
    sender.send_modify(|value| value.0 += 1);
    assert_eq!(receiver.borrow().0, 3);
}

#[evloop::test]
async fn seen_and_not_seen() {
    let (sender, mut receiver) = watch::channel(0);
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(1).unwrap();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert!(Snapshot::is_new(&receiver.borrow()), "looking is not seeing");
    assert!(Snapshot::is_new(&receiver.borrow_and_update()));
    assert!(!Snapshot::is_new(&receiver.borrow()));
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(receiver.has_changed(), Ok(false));
    receiver.mark_changed();
    receiver.changed().await.unwrap();
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(2).unwrap();
    let mut late = sender.subscribe();
    assert_eq!(late.has_changed(), Ok(false), "it begins with what is there");
    receiver.mark_unchanged();
    drop(sender);
    assert_eq!(receiver.has_changed(), Err(RecvError));
    assert_eq!(late.changed().await, Err(RecvError));
}

#[evloop::test]
async fn wait_for_looks_at_once_and_at_each_change() {
    let (sender, mut receiver) = watch::channel(1);
    assert_eq!(*receiver.wait_for(|n| *n == 1).await.unwrap(), 1);
    create_task(async move {
        for n in 2..=4 {
            sleep(secs(1)).await;
            sender.send(n).unwrap();
        }
    })
    .detach();
    let start = now();
    let mut looked = Vec::new();
    let found = receiver
        .wait_for(|n| {
            looked.push(*n);
            *n >= 3
        })
        .await
        .map(|n| *n);
    assert_eq!((found, now() - start), (Ok(3), secs(2)));
    assert_eq!(looked, [1, 2, 3]);
    assert!(receiver.wait_for(|n| *n > 9).await.is_err());
    assert_eq!(now() - start, secs(3));
    assert_eq!(*receiver.wait_for(|n| *n == 4).await.unwrap(), 4, "also without senders");
}

#[evloop::test]
async fn a_sender_hears_of_the_last_receiver() {
    let (sender, receiver) = watch::channel(0);
    let other = receiver.clone();
    assert!(receiver.same_channel(&other));
    assert_eq!(sender.receiver_count(), 2);
    create_task(async move {
        sleep(secs(1)).await;
        drop(receiver);
        sleep(secs(1)).await;
        drop(other);
    })
    .detach();
    let start = now();
    sender.closed().await;
    assert_eq!(now() - start, secs(2));
    assert_eq!(sender.send(5), Err(SendError(5)));
    assert_eq!(*sender.send_replace(6), 0);
    sender.send_modify(|n| *n += 1);
    assert_eq!(*sender.subscribe().borrow(), 7);
    sender.closed().await;
}

#[evloop::test]
async fn a_wait_that_is_given_up_sees_nothing() {
    let (sender, mut receiver) = watch::channel(0);
    assert!(wait_for(receiver.changed(), secs(1)).await.is_err());
    assert!(format!("{sender:?}").contains("waiting: 0"));
    let mut changed = Box::pin(receiver.changed());
    assert!(futures::poll!(&mut changed).is_pending());
    sender.send(1).unwrap(); // it is called
    drop(changed);
    assert_eq!(receiver.has_changed(), Ok(true));
}

#[evloop::test]
async fn values_that_were_replaced_are_gone() {
    let value = Rc::new(());
    let (sender, receiver) = watch::channel(value.clone());
    sender.send(value.clone()).unwrap();
    assert_eq!(Rc::strong_count(&value), 2);
    let snapshot = receiver.borrow();
    sender.send(Rc::new(())).unwrap();
    assert_eq!(Rc::strong_count(&value), 2, "the snapshot keeps it");
    drop(snapshot);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
#[should_panic(expected = "use the argument of send_modify's closure")]
fn the_closure_that_modifies_may_not_use_the_channel() {
    let (sender, receiver) = watch::channel(1);
    sender.send_modify(|value| *value += *receiver.borrow());
}

#[test]
fn a_closure_that_used_the_channel_has_done_no_harm() {
    let (sender, receiver) = watch::channel(1);
    for _ in 0..2 {
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            sender.send_modify(|value| {
                *value += 1;
                let _ = sender.send(9);
            });
        }));
        assert!(used.is_err());
    }
    assert_eq!(*receiver.borrow(), 3);
}
