//! `channel::broadcast`: everybody gets everything, or is told what he missed.

use std::cell::Cell;
use std::rc::Rc;

use evloop::channel::broadcast::{self, Lagged, RecvError, TryRecvError};
use evloop::testing::settle;
use evloop::time::secs;
use evloop::{create_task, now, sleep, wait_for, yield_now};
use futures::StreamExt;

use crate::support::Log;

#[evloop::test(order = "fifo")]
async fn all_who_wait_are_woken_in_the_order_in_which_they_came() {
    let log = Log::new();
    let (sender, receiver) = broadcast::channel(4);
    let tasks: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let (mut receiver, log) = (receiver.resubscribe(), log.clone());
            create_task(async move {
                while let Ok(n) = receiver.recv().await {
                    log.push_at(format!("{name} {n}"));
                }
                log.push_at(format!("{name} ends"));
            })
        })
        .into();
    drop(receiver);
    yield_now().await;
    assert_eq!(sender.send(1).unwrap(), 3);
    yield_now().await;
    sender.send(2).unwrap();
    sender.send(3).unwrap();
    drop(sender);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        log.take(),
        [
            "3:a 1", "3:b 1", "3:c 1", "4:a 2", "4:a 3", "4:a ends", "4:b 2", "4:b 3", "4:b ends", "4:c 2",
            "4:c 3", "4:c ends"
        ]
    );
}

#[evloop::test]
async fn a_slow_receiver_is_told_how_many_it_missed_and_goes_on() {
    let (sender, mut slow) = broadcast::channel(2);
    let mut fast = sender.subscribe();
    for n in 0..5 {
        sender.send(n).unwrap();
        assert_eq!(fast.try_recv(), Ok(n));
    }
    assert_eq!((slow.len(), sender.len()), (5, 2));
    assert_eq!(slow.recv().await, Err(RecvError::Lagged(3)));
    assert_eq!(slow.len(), 2);
    assert_eq!(slow.recv().await, Ok(3));
    sender.send(5).unwrap();
    sender.send(6).unwrap();
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(1)));
    drop(sender);
    assert_eq!(slow.collect::<Vec<_>>().await, [Ok(5), Ok(6)]);
    assert_eq!(fast.by_ref().collect::<Vec<_>>().await, [Ok(5), Ok(6)]);
    assert_eq!(fast.try_recv(), Err(TryRecvError::Closed));
}

#[evloop::test]
async fn a_stream_says_what_was_missed_and_ends() {
    let (sender, receiver) = broadcast::channel(1);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    drop(sender);
    assert_eq!(receiver.collect::<Vec<_>>().await, [Err(Lagged(1)), Ok(2)]);
}

#[evloop::test]
async fn a_receiver_gets_what_was_sent_after_it_subscribed() {
    let (sender, first) = broadcast::channel(4);
    sender.send(1).unwrap();
    let mut second = sender.clone().subscribe();
    let mut third = first.resubscribe();
    drop(first);
    assert!(sender.is_empty(), "nobody is left who has not seen it");
    assert_eq!(second.try_recv(), Err(TryRecvError::Empty));
    sender.send(2).unwrap();
    assert_eq!(sender.receiver_count(), 2);
    assert_eq!((second.recv().await, third.recv().await), (Ok(2), Ok(2)));
    drop((second, third));
    assert_eq!(sender.send(3).unwrap_err().0, 3);
    let mut again = sender.subscribe();
    sender.send(4).unwrap();
    assert_eq!(again.recv().await, Ok(4));
}

#[evloop::test]
async fn a_value_goes_when_all_have_seen_it_and_the_last_one_gets_it_whole() {
    #[derive(Debug)]
    struct Value(Rc<Cell<(usize, usize)>>);
    impl Clone for Value {
        fn clone(&self) -> Self {
            let (clones, drops) = self.0.get();
            self.0.set((clones + 1, drops));
            Value(self.0.clone())
        }
    }
    impl Drop for Value {
        fn drop(&mut self) {
            let (clones, drops) = self.0.get();
            self.0.set((clones, drops + 1));
        }
    }
    let counts = Rc::new(Cell::new((0, 0)));
    let (sender, mut first) = broadcast::channel(2);
    let mut second = sender.subscribe();
    sender.send(Value(counts.clone())).unwrap();
    drop(first.recv().await.unwrap());
    assert_eq!(counts.get(), (1, 1));
    drop(second.recv().await.unwrap());
    assert_eq!(counts.get(), (1, 2), "moved out, not cloned");

    sender.send(Value(counts.clone())).unwrap();
    drop(first.recv().await.unwrap());
    drop(second);
    assert_eq!(counts.get(), (2, 4), "the last one who had not seen it is gone");

    for _ in 0..3 {
        sender.send(Value(counts.clone())).unwrap();
    }
    assert_eq!(counts.get(), (2, 5), "the oldest was given up");
    drop(first);
    assert_eq!((counts.get(), sender.len()), ((2, 7), 0));
}

#[evloop::test]
async fn a_recv_that_is_dropped_takes_nothing() {
    let (sender, mut receiver) = broadcast::channel(2);
    assert!(wait_for(receiver.recv(), secs(1)).await.is_err());
    assert!(format!("{sender:?}").contains("waiting: 0"));
    create_task(async move {
        sleep(secs(1)).await;
        sender.send(1).unwrap();
    })
    .detach();
    let start = now();
    assert_eq!(receiver.recv().await, Ok(1));
    assert_eq!(now() - start, secs(1));
    assert_eq!(receiver.recv().await, Err(RecvError::Closed));
}

#[test]
#[should_panic(expected = "channel::watch for the latest value")]
fn a_channel_of_capacity_0_is_refused() {
    let _ = broadcast::channel::<u8>(0);
}

#[evloop::test]
async fn a_sender_hears_of_the_last_receiver() {
    let (sender, receiver) = broadcast::channel::<u8>(1);
    let other = receiver.resubscribe();
    create_task(async move {
        sleep(secs(1)).await;
        drop(receiver);
        sleep(secs(1)).await;
        drop(other);
    })
    .detach();
    let start = now();
    assert!(wait_for(sender.closed(), secs(1)).await.is_err(), "there is one more");
    assert!(!sender.is_closed());
    sender.closed().await;
    assert_eq!(now() - start, secs(2));
    assert!(sender.is_closed() && sender.send(1).is_err());
    sender.closed().await;
    let _again = sender.subscribe();
    assert!(!sender.is_closed());
}

#[evloop::test]
async fn who_was_told_that_nobody_receives_need_not_look_again() {
    let (sender, receiver) = broadcast::channel::<u8>(1);
    let told = create_task({
        let sender = sender.clone();
        async move { sender.closed().await }
    });
    settle().await;
    drop(receiver);
    let receiver = sender.subscribe();
    told.await.unwrap();
    drop(receiver);
}
