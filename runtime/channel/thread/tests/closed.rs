//! Senders who wait for the receiver to close or to go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Wake};

use super::{Calls, Meddler, Polled, proxies};
use crate::channel::thread::{Sender, channel, unbounded};
use crate::time::secs;
use crate::{create_task, now, sleep};

#[test]
fn all_who_wait_for_the_end_hear_of_it_once_be_it_a_close_or_a_drop() {
    for is_dropped in [false, true] {
        let (sender, mut receiver) = channel(1);
        sender.try_send("sent").unwrap();
        let other = sender.clone();
        let mut watches = [&sender, &sender, &other].map(|sender| Polled::waiting(sender.closed()));
        let send = Polled::waiting(other.send("waits"));
        assert!(watches[1].poll().is_pending(), "it stays in line, and there once");
        if is_dropped {
            drop(receiver);
        } else {
            receiver.close();
            receiver.close();
            assert_eq!(receiver.blocking_recv(), Some("sent"), "what was sent is still received");
        }
        assert_eq!((watches.each_ref().map(Polled::calls), send.calls()), ([1; 3], 1));
        for watch in &mut watches {
            assert_eq!(watch.poll(), Poll::Ready(()));
        }
        assert_eq!(Polled::new(sender.closed()).poll(), Poll::Ready(()), "nor does anybody wait later");
        sender.blocking_closed();
        assert!(sender.is_closed());
    }
}

#[test]
fn the_end_is_heard_of_by_the_waker_of_the_last_poll() {
    let (sender, receiver) = unbounded::<u8>();
    let mut watch = Polled::waiting(sender.closed());
    let last = Arc::new(Calls::default());
    assert!(watch.poll_with(&last.clone().into()).is_pending());
    drop(receiver);
    assert_eq!((watch.calls(), last.0.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn who_does_not_wait_for_the_end_any_more_is_not_called() {
    let (sender, receiver) = unbounded::<u8>();
    let [gone, stays] = [(); 2].map(|()| Polled::waiting(sender.closed()));
    let calls = gone.calls.clone();
    drop(gone);
    assert_eq!(Arc::strong_count(&calls), 1, "the waker is gone, too");
    drop(receiver);
    assert_eq!((calls.0.load(Ordering::Relaxed), stays.calls()), (0, 1));
    drop(stays);
}

#[test]
fn who_is_called_at_the_end_finds_the_channel_unlocked() {
    let (sender, receiver) = channel(1);
    let meddler = || Arc::new(Meddler(sender.clone(), std::sync::Mutex::default()));
    let waits = meddler();
    let mut watch = Polled::new(sender.closed());
    assert!(watch.poll_with(&meddler().into()).is_pending());
    assert!(watch.poll_with(&waits.clone().into()).is_pending());
    let mut given_up = Polled::new(sender.closed());
    assert!(given_up.poll_with(&meddler().into()).is_pending());
    drop(given_up);
    drop(receiver);
    assert_eq!(*waits.1.lock().unwrap(), ["woken"]);
    drop(watch);
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_the_end() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("expected: a waker panics");
        }
    }
    let (sender, receiver) = unbounded::<u8>();
    let mut one = Polled::new(sender.closed());
    assert!(one.poll_with(&Arc::new(Bomb).into()).is_pending());
    let two = Polled::waiting(sender.closed());
    drop(receiver);
    assert_eq!(two.calls(), 1);
}

#[test]
fn a_virtual_clock_knows_who_waits_for_the_end() {
    crate::__private::test(crate::Clock::Virtual, async {
        let (sender, receiver) = channel::<u8>(1);
        let [mut one, two] = [(); 2].map(|()| Polled::waiting(sender.closed()));
        assert_eq!(proxies(), 2);
        drop(two);
        assert_eq!(proxies(), 1);
        drop(receiver);
        assert!(one.poll().is_ready());
        assert_eq!(proxies(), 0);
    });
}

#[test]
fn virtual_time_does_not_run_away_from_a_thread_that_will_go() {
    crate::__private::test(crate::Clock::Virtual, async {
        let (sender, receiver) = unbounded::<u8>();
        let start = now();
        let hour = create_task(sleep(secs(3600)));
        let thread = std::thread::spawn(move || drop(receiver));
        sender.closed().await;
        assert!(now() - start < secs(3600));
        hour.await.unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_for_the_end_sleeps_until_then() {
    let (sender, mut receiver) = channel(1);
    let watcher = |sender: Sender<u8>| std::thread::spawn(move || sender.blocking_closed());
    let watchers = [watcher(sender.clone()), watcher(sender.clone())];
    sender.blocking_send(1).unwrap();
    assert_eq!(receiver.blocking_recv(), Some(1));
    assert!(watchers.iter().all(|watcher| !watcher.is_finished()));
    receiver.close();
    watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
}
