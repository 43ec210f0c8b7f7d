//! A sleep is plain data: on another thread its timer stays behind, on another loop it gets a new one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use evloop::time::{Sleep, secs};
use evloop::{Clock, EventLoop, now, sleep, sleep_until};

use super::abroad;
use crate::support::Woken;

fn virtual_loop() -> EventLoop {
    EventLoop::builder().clock(Clock::Virtual).build().unwrap()
}

/// A sleep of five seconds that has begun, with a waker of its own.
fn begun() -> (Sleep, Arc<Woken>) {
    let mut five = sleep(secs(5));
    let (woken, waker) = Woken::new();
    assert!(Pin::new(&mut five).poll(&mut Context::from_waker(&waker)).is_pending());
    (five, woken)
}

#[evloop::test]
async fn a_sleep_dropped_at_home_takes_its_timer_out() {
    let (five, woken) = begun();
    drop(five);
    assert_eq!((Arc::strong_count(&woken), woken.times()), (1, 0));
}

#[evloop::test]
async fn a_sleep_dropped_abroad_leaves_its_timer_until_it_is_due() {
    let (five, woken) = begun();
    abroad(move || drop(five));
    sleep(secs(4)).await;
    assert_eq!((Arc::strong_count(&woken), woken.times()), (2, 0));
    sleep(secs(2)).await;
    assert_eq!((Arc::strong_count(&woken), woken.times()), (1, 1));
}

#[evloop::test]
async fn a_sleep_dropped_in_another_loop_leaves_its_timer_until_it_is_due() {
    let (five, woken) = begun();
    let (ten, other) = begun();
    abroad(move || {
        // The other loop has timers of its own, with the same keys.
        let here = virtual_loop().run_until_complete(async {
            let (own, woken) = begun();
            drop((five, ten));
            assert_eq!((Arc::strong_count(&woken), woken.times()), (2, 0), "they are let alone");
            own.await;
        });
        here.unwrap();
    });
    sleep(secs(6)).await;
    assert_eq!((woken.times(), other.times()), (1, 1));
}

#[evloop::test]
async fn a_sleep_goes_on_in_another_loop_to_the_same_deadline() {
    let (five, woken) = begun();
    let deadline = five.deadline();
    abroad(move || {
        let mut event_loop = virtual_loop();
        event_loop
            .run_until_complete(async {
                five.await;
                assert!(now() >= deadline);
                sleep_until(deadline + secs(1)).await;
            })
            .unwrap();
    });
    sleep_until(deadline).await;
    assert_eq!(woken.times(), 1, "the timer that stayed behind");
}

#[evloop::test]
async fn a_sleep_that_was_due_while_it_was_away_ends_at_once() {
    let (five, woken) = begun();
    let five = abroad(move || five);
    sleep(secs(7)).await;
    assert_eq!(woken.times(), 1);
    let before = now();
    five.await;
    assert_eq!(now(), before);
}

#[test]
fn a_sleep_may_outlive_its_loop() {
    let mut event_loop = virtual_loop();
    let (one, woken) = event_loop.run_until_complete(async { begun() }).unwrap();
    let (two, _) = event_loop.run_until_complete(async { begun() }).unwrap();
    drop(event_loop);
    assert_eq!(Arc::strong_count(&woken), 1, "the wakers go with the loop");
    abroad(move || drop(two));
    virtual_loop().run_until_complete(one).unwrap();
}
