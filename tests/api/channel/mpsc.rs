//! `channel::mpsc`: who gets in when, what comes back, how it ends.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Waker};

use evloop::channel::mpsc::{self, SendError, TryRecvError, TrySendError};
use evloop::time::secs;
use evloop::{create_task, now, sleep, wait_for, yield_now};
use futures::StreamExt;

use crate::support::{Log, yields};

#[evloop::test]
async fn values_come_in_the_order_in_which_they_were_sent() {
    let (sender, mut receiver) = mpsc::channel(2);
    let log = Log::new();
    let producer = create_task({
        let log = log.clone();
        async move {
            for n in 0..4 {
                sender.send(n).await.unwrap();
                log.push_at(format!("sent {n}"));
            }
        }
    });
    while let Some(n) = receiver.recv().await {
        log.push_at(format!("got {n}"));
    }
    producer.await.unwrap();
    // The third send waits; the slot that the first value leaves behind is its own.
    assert_eq!(
        log.take(),
        ["2:sent 0", "2:sent 1", "3:got 0", "3:got 1", "4:sent 2", "4:sent 3", "5:got 2", "5:got 3"]
    );
}

#[evloop::test(order = "fifo")]
async fn waiting_senders_get_in_in_line_and_nobody_overtakes_them() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(0).await.unwrap();
    for n in 1..=3 {
        let sender = sender.clone();
        create_task(async move { sender.send(n).await.unwrap() }).detach();
    }
    yield_now().await;
    assert_eq!(sender.stats().waiting_senders, 3);
    assert_eq!(receiver.recv().await, Some(0));
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)), "the slot belongs to the first in line");
    let late = create_task({
        let sender = sender.clone();
        async move { sender.send(4).await.unwrap() }
    });
    drop(sender);
    let rest: Vec<_> = receiver.by_ref().collect().await;
    assert_eq!(rest, [1, 2, 3, 4]);
    late.await.unwrap();
}

#[evloop::test]
async fn a_called_sender_that_is_cancelled_passes_its_slot_on() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send("full").await.unwrap();
    let send = |value| {
        let sender = sender.clone();
        create_task(async move { sender.send(value).await.unwrap() })
    };
    let (first, second) = (send("first"), send("second"));
    yield_now().await;
    assert_eq!(receiver.recv().await, Some("full"));
    first.cancel(); // it has been called, and has not run
    assert_eq!(receiver.recv().await, Some("second"));
    second.await.unwrap();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(sender.capacity(), 1);
}

#[evloop::test]
async fn the_value_comes_back_when_the_receiver_goes_or_closes() {
    for closes in [false, true] {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.send(1).await.unwrap();
        let waiting = create_task({
            let sender = sender.clone();
            async move { sender.send(2).await }
        });
        let closed = create_task({
            let sender = sender.clone();
            async move { sender.closed().await }
        });
        yield_now().await;
        assert!(!waiting.done() && !closed.done());
        if closes {
            receiver.close();
        } else {
            drop(receiver);
        }
        assert_eq!(waiting.await.unwrap(), Err(SendError(2)));
        closed.await.unwrap();
        sender.closed().await;
        assert_eq!(sender.send(3).await, Err(SendError(3)));
        assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
        assert!(sender.reserve().await.is_err() && sender.try_reserve().is_err());
        assert!(sender.is_closed());
        assert_eq!(sender.capacity(), 0);
    }
}

#[evloop::test]
async fn a_sender_that_was_called_before_the_close_has_its_value_back() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(1).await.unwrap();
    let waiting = create_task({
        let sender = sender.clone();
        async move { sender.send(2).await }
    });
    yield_now().await;
    assert_eq!(receiver.try_recv(), Ok(1)); // calls it
    receiver.close();
    assert_eq!(waiting.await.unwrap(), Err(SendError(2)));
    assert_eq!(receiver.recv().await, None);
}

#[evloop::test]
async fn a_closed_channel_gives_what_is_in_and_what_permits_bring() {
    let (sender, mut receiver) = mpsc::channel(3);
    sender.send(1).await.unwrap();
    let (used, unused) = (sender.reserve().await.unwrap(), sender.reserve().await.unwrap());
    receiver.close();
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "permits are out");
    let start = now();
    let (received, ()) = futures::join!(receiver.recv(), async {
        sleep(secs(1)).await;
        used.send(2).unwrap();
    });
    assert_eq!((received, now() - start), (Some(2), secs(1)));
    let (received, ()) = futures::join!(receiver.recv(), async {
        sleep(secs(1)).await;
        drop(unused);
    });
    assert_eq!((received, now() - start), (None, secs(2)));
}

#[evloop::test]
async fn a_permit_keeps_its_slot_and_gives_it_back() {
    let (sender, mut receiver) = mpsc::channel(1);
    let permit = sender.reserve().await.unwrap();
    assert_eq!((sender.capacity(), sender.len()), (0, 0));
    let waiting = create_task({
        let sender = sender.clone();
        async move { sender.send("waited").await }
    });
    yield_now().await;
    drop(permit);
    waiting.await.unwrap().unwrap();
    assert_eq!(receiver.recv().await, Some("waited"));

    let permit = sender.try_reserve().unwrap();
    drop(receiver);
    assert_eq!(permit.send("too late"), Err(SendError("too late")));
}

#[evloop::test]
async fn a_timeout_around_reserve_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(String::from("full")).await.unwrap();
    let precious = String::from("precious");
    assert!(wait_for(sender.reserve(), secs(1)).await.is_err());
    assert_eq!(receiver.recv().await.unwrap(), "full");
    wait_for(sender.reserve(), secs(1)).await.unwrap().unwrap().send(precious).unwrap();
    assert_eq!(receiver.recv().await.unwrap(), "precious");
}

#[evloop::test]
async fn the_receiver_hears_of_the_last_sender() {
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let other = sender.clone();
    assert!(sender.same_channel(&other));
    create_task(async move {
        sleep(secs(1)).await;
        drop(sender);
        sleep(secs(1)).await;
        drop(other);
    })
    .detach();
    let start = now();
    assert_eq!(receiver.recv().await, None);
    assert_eq!(now() - start, secs(2));
    assert_eq!(receiver.recv().await, None, "and stays at the end");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[evloop::test(order = "fifo")]
async fn a_recv_that_is_dropped_takes_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    let sent = create_task(async move {
        sleep(secs(1)).await;
        sender.send(1).await.unwrap();
    });
    assert!(wait_for(receiver.recv(), secs(1)).await.is_err() || sent.done());
    sent.await.unwrap();
    assert_eq!(receiver.len(), 1);
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(receiver.recv().await, None);
}

#[evloop::test(order = "fifo")]
async fn a_batch_takes_what_is_there_and_calls_as_many() {
    let (sender, mut receiver) = mpsc::channel(2);
    let log = Log::new();
    for n in 0..5 {
        let (sender, log) = (sender.clone(), log.clone());
        create_task(async move {
            sender.send(n).await.unwrap();
            log.push_at(format!("sent {n}"));
        })
        .detach();
    }
    drop(sender);
    let mut batch = Vec::new();
    assert_eq!(receiver.recv_many(&mut batch, 0).await, 0);
    assert_eq!(receiver.recv_many(&mut batch, 10).await, 2);
    assert_eq!(receiver.recv_many(&mut batch, 10).await, 2);
    assert_eq!(receiver.recv_many(&mut batch, 10).await, 1);
    assert_eq!(receiver.recv_many(&mut batch, 10).await, 0);
    assert_eq!(batch, [0, 1, 2, 3, 4]);
    assert_eq!(log.take(), ["2:sent 0", "2:sent 1", "4:sent 2", "4:sent 3", "6:sent 4"]);
}

#[evloop::test]
async fn an_unbounded_channel_never_makes_a_sender_wait() {
    let (sender, mut receiver) = mpsc::unbounded();
    for n in 0..1000 {
        sender.send(n).unwrap();
    }
    assert_eq!((receiver.len(), receiver.max_capacity()), (1000, usize::MAX));
    assert_eq!(receiver.capacity(), usize::MAX - 1000);
    let other = sender.clone();
    assert!(other.same_channel(&sender) && !sender.is_empty());
    drop((sender, other));
    assert_eq!(receiver.stats().peak, 1000);
    assert_eq!(receiver.by_ref().fold(0, |sum, n| async move { sum + n }).await, 499_500);

    let (sender, receiver) = mpsc::unbounded();
    let closed = create_task(async move {
        sender.closed().await;
        assert!(sender.is_closed());
        sender.send(1)
    });
    yield_now().await;
    drop(receiver);
    assert_eq!(closed.await.unwrap(), Err(SendError(1)));
}

#[evloop::test]
async fn values_that_nobody_received_go_with_the_receiver() {
    let value = Rc::new(());
    let (sender, receiver) = mpsc::channel(3);
    sender.send(value.clone()).await.unwrap();
    sender.send(value.clone()).await.unwrap();
    assert_eq!(Rc::strong_count(&value), 3);
    drop(receiver);
    assert_eq!(Rc::strong_count(&value), 1, "while the sender lives on");
    drop(sender);
}

#[evloop::test]
async fn a_stream_can_be_joined_with_others() {
    let (sender, receiver) = mpsc::channel(1);
    let (other_sender, other) = mpsc::unbounded();
    create_task(async move {
        for n in 0..3 {
            sender.send(n).await.unwrap();
            other_sender.send(n + 10).unwrap();
        }
    })
    .detach();
    let mut all: Vec<_> = futures::stream::select(receiver, other).collect().await;
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 10, 11, 12]);
}

#[evloop::test(order = "fifo")]
async fn what_a_channel_tells_about_itself() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    let waiting = create_task({
        let sender = sender.clone();
        async move { sender.send(3).await }
    });
    yields(1).await;
    let stats = sender.stats();
    assert_eq!((stats.len, stats.peak, stats.senders, stats.waiting_senders), (2, 2, 2, 1));
    assert!(!stats.receiver_waits);
    assert_eq!(
        format!("{sender:?}"),
        "Sender { closed: false, stats: Stats { len: 2, peak: 2, senders: 2, waiting_senders: 1, receiver_waits: false } }"
    );
    assert_eq!(receiver.recv().await, Some(1));
    waiting.await.unwrap().unwrap();
    assert_eq!((receiver.recv().await, receiver.recv().await), (Some(2), Some(3)));
    let stats = receiver.stats();
    assert_eq!((stats.len, stats.peak, stats.senders), (0, 2, 1));
}

#[test]
#[should_panic(expected = "take 1, or a oneshot")]
fn a_channel_of_capacity_0_is_refused() {
    let _ = mpsc::channel::<u8>(0);
}

#[test]
fn a_send_that_is_polled_after_its_end_takes_no_slot() {
    let (sender, _receiver) = mpsc::channel(2);
    let mut send = Box::pin(sender.send(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(send.as_mut().poll(&mut cx).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| send.as_mut().poll(&mut cx)));
    assert!(again.is_err(), "it says so");
    drop(send);
    assert_eq!(sender.capacity(), 1);
}

#[evloop::test(order = "fifo")]
async fn a_receiver_in_the_output_of_the_task_that_used_it_goes_with_the_handle() {
    let (sender, mut receiver) = mpsc::channel(2);
    let task = create_task(async move {
        receiver.recv().await;
        receiver
    });
    yield_now().await;
    sender.send(1).await.unwrap(); // calls the task, whose waker stays in the channel
    yield_now().await;
    assert!(task.done() && !sender.is_closed());
    task.detach();
    assert!(sender.is_closed(), "the output does not keep itself");
}
