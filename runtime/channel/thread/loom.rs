//! Models of the channel: its two ends on two or three threads, in every order and under every reordering that the
//! memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`
//!
//! The ends block as they do in programs, by the very code; so a wake-up that is lost leaves a thread asleep for ever,
//! which loom reports. Where an end is dropped in its wait, it is polled once with a waker that does nothing.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{Receiver, Sender, TryRecvError, channel, unbounded};

/// Explores all executions with up to three preemptions: switches away from a thread that could go on.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(3);
    bounded.check(model);
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Begins to send and gives up, unless it is done at once; says what was sent.
fn begin_to_send(sender: &Sender<u8>, value: u8) -> Option<u8> {
    matches!(poll_once(sender.send(value)), Poll::Ready(Ok(()))).then_some(value)
}

fn drain(receiver: &mut Receiver<u8>) -> Vec<u8> {
    std::iter::from_fn(|| receiver.blocking_recv()).collect()
}

#[test]
fn what_is_sent_while_the_receiver_falls_asleep_wakes_it() {
    explore(|| {
        let (sender, mut receiver) = unbounded();
        let thread = thread::spawn(move || {
            sender.blocking_send(1).unwrap();
            sender.blocking_send(2).unwrap();
        });
        assert_eq!(drain(&mut receiver), [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn senders_who_wait_are_called_when_there_is_room() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            for value in 1..=3 {
                sender.blocking_send(value).unwrap();
            }
        });
        assert_eq!(drain(&mut receiver), [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn two_senders_who_wait_are_both_called() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let threads = [1, 2].map(|value| {
            let sender = sender.clone();
            thread::spawn(move || sender.blocking_send(value).unwrap())
        });
        drop(sender);
        let mut got = drain(&mut receiver);
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn the_last_sender_ends_the_receivers_wait() {
    explore(|| {
        let (sender, mut receiver) = unbounded::<u8>();
        let other = sender.clone();
        let thread = thread::spawn(move || drop(other));
        drop(sender);
        assert_eq!(receiver.blocking_recv(), None);
        thread.join().unwrap();
    });
}

#[test]
fn a_receiver_that_goes_ends_the_senders_wait() {
    explore(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(0).unwrap();
        let thread = thread::spawn(move || sender.blocking_send(1).unwrap_err().into_inner());
        drop(receiver);
        assert_eq!(thread.join().unwrap(), 1);
    });
}

#[test]
fn a_receiver_that_goes_ends_the_wait_for_that() {
    explore(|| {
        let (sender, receiver) = unbounded::<u8>();
        let watches = thread::spawn(move || sender.blocking_closed());
        drop(receiver);
        watches.join().unwrap();
    });
}

#[test]
fn a_close_is_heard_of_by_who_waits_for_room_and_by_who_waits_for_it() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let other = sender.clone();
        let waits = thread::spawn(move || sender.blocking_send(1).unwrap_err().into_inner());
        let watches = thread::spawn(move || other.blocking_closed());
        receiver.close();
        assert_eq!(waits.join().unwrap(), 1);
        watches.join().unwrap();
        assert_eq!(receiver.try_recv(), Ok(0));
    });
}

#[test]
fn who_gives_up_to_wait_for_the_end_keeps_nobody_from_it() {
    explore(|| {
        let (sender, receiver) = unbounded::<u8>();
        let other = sender.clone();
        let gives_up = thread::spawn(move || poll_once(other.closed()).is_ready());
        let watches = thread::spawn(move || sender.blocking_closed());
        drop(receiver);
        gives_up.join().unwrap();
        watches.join().unwrap();
    });
}

#[test]
fn a_receiver_that_closes_gets_what_was_sent_and_the_sender_the_rest() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            let sent = (1..=2).take_while(|&value| sender.blocking_send(value).is_ok());
            sent.collect::<Vec<u8>>()
        });
        let mut got = Vec::from_iter(receiver.try_recv());
        receiver.close();
        got.extend(drain(&mut receiver));
        assert_eq!(got, thread.join().unwrap());
    });
}

#[test]
fn a_send_that_is_dropped_hands_its_turn_on() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let other = sender.clone();
        let gives_up = thread::spawn(move || begin_to_send(&other, 1));
        let waits = thread::spawn(move || sender.blocking_send(2).unwrap());
        let mut got = drain(&mut receiver);
        got.sort_unstable();
        let mut sent = vec![0, 2];
        sent.extend(gives_up.join().unwrap());
        sent.sort_unstable();
        waits.join().unwrap();
        assert_eq!(got, sent);
    });
}

#[test]
fn a_recv_that_is_dropped_takes_nothing_along() {
    explore(|| {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            sender.blocking_send(1).unwrap();
            sender.blocking_send(2).unwrap();
        });
        let mut got = Vec::new();
        if let Poll::Ready(item) = poll_once(receiver.recv()) {
            got.extend(item);
        }
        got.extend(drain(&mut receiver));
        assert_eq!(got, [1, 2]);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        thread.join().unwrap();
    });
}
