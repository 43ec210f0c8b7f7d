//! `channel::oneshot`: one value, and what either side hears of the other.

use std::rc::Rc;

use evloop::channel::oneshot::{self, RecvError, TryRecvError};
use evloop::time::secs;
use evloop::{create_task, now, sleep, wait_for, yield_now};

use crate::support::Log;

#[evloop::test(order = "fifo")]
async fn a_value_sent_wakes_the_receiver_one_iteration_later() {
    let log = Log::new();
    let (sender, receiver) = oneshot::channel();
    let task = create_task({
        let log = log.clone();
        async move { log.push_at(receiver.await.unwrap()) }
    });
    yield_now().await;
    log.push_at("send");
    sender.send("got it").unwrap();
    log.push_at("sent");
    task.await.unwrap();
    assert_eq!(log.take(), ["2:send", "2:sent", "3:got it"]);
}

#[evloop::test]
async fn a_value_sent_before_is_there_at_once() {
    let (sender, receiver) = oneshot::channel();
    sender.send(1).unwrap();
    assert!(receiver.is_done());
    assert_eq!(receiver.await, Ok(1));
}

#[evloop::test]
async fn a_sender_that_goes_ends_the_wait() {
    let (sender, receiver) = oneshot::channel::<u8>();
    create_task(async move {
        sleep(secs(1)).await;
        drop(sender);
    })
    .detach();
    let start = now();
    assert_eq!(receiver.await, Err(RecvError));
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn a_receiver_that_goes_or_closes_gives_the_value_back() {
    for closes in [false, true] {
        let (mut sender, mut receiver) = oneshot::channel();
        let task = create_task(async move {
            sender.closed().await;
            assert!(sender.is_closed());
            (now(), sender.send(5))
        });
        let start = now();
        sleep(secs(1)).await;
        if closes {
            receiver.close();
            assert_eq!(receiver.await, Err(RecvError));
        } else {
            drop(receiver);
        }
        let (at, sent) = task.await.unwrap();
        assert_eq!((at - start, sent), (secs(1), Err(5)));
    }
}

#[evloop::test]
async fn a_value_that_came_before_the_close_is_received() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(receiver.await, Ok(1));
}

#[evloop::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let (sender, mut receiver) = oneshot::channel();
    assert!(wait_for(&mut receiver, secs(1)).await.is_err());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send("still here").unwrap();
    receiver.wait_done().await;
    assert_eq!((&mut receiver).await, Ok("still here"));
    assert_eq!((&mut receiver).await, Err(RecvError), "it was taken");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[evloop::test]
async fn a_value_that_nobody_takes_goes_with_the_receiver() {
    let value = Rc::new(());
    let (sender, receiver) = oneshot::channel();
    sender.send(value.clone()).unwrap();
    assert_eq!(Rc::strong_count(&value), 2);
    drop(receiver);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[evloop::test]
async fn debug_says_where_it_stands() {
    let (sender, receiver) = oneshot::channel::<u8>();
    assert_eq!(format!("{sender:?} {receiver:?}"), "Sender { closed: false } Receiver { done: false }");
    drop(sender);
    assert_eq!(format!("{receiver:?}"), "Receiver { done: true }");
}
