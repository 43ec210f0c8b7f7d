//! Ticking: the pace, the three ways to treat missed ticks, and dropped ticks.

use std::time::Duration;

use evloop::time::{Interval, MissedTicks, interval, interval_at, millis, secs};
use evloop::{create_task, now, sleep, wait_for, yield_now};

use crate::support::panic_of;

/// Ticks with a period of ten seconds: due times, and the times at which they came, in seconds.
async fn ticks(ticks: &mut Interval, count: usize) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(tick(ticks).await);
    }
    seen
}

async fn tick(ticks: &mut Interval) -> (u64, u64) {
    let due = ticks.tick().await;
    (seconds(due), seconds(now()))
}

/// Seconds of the loop's life. The clock is virtual, so they are whole.
fn seconds(at: std::time::Instant) -> u64 {
    let start = START.get();
    let since = at - start.expect("begin() was called");
    assert_eq!(since.subsec_nanos(), 0, "exact");
    since.as_secs()
}

thread_local! {
    static START: std::cell::Cell<Option<std::time::Instant>> = const { std::cell::Cell::new(None) };
}

fn begin() {
    START.set(Some(now()));
}

#[evloop::test]
async fn the_first_tick_comes_at_once_and_the_others_a_period_apart() {
    begin();
    let mut every = interval(secs(10));
    assert_eq!(every.period(), secs(10));
    assert_eq!(ticks(&mut every, 4).await, [(0, 0), (10, 10), (20, 20), (30, 30)]);
}

#[evloop::test]
async fn work_between_ticks_does_not_make_it_drift() {
    begin();
    let mut every = interval(secs(10));
    for expected in 0..5 {
        assert_eq!(tick(&mut every).await, (expected * 10, expected * 10));
        sleep(secs(7)).await;
    }
}

#[evloop::test]
async fn it_may_start_later_or_earlier() {
    begin();
    let mut later = interval_at(now() + secs(3), secs(10));
    assert_eq!(ticks(&mut later, 2).await, [(3, 3), (13, 13)]);
    let mut earlier = interval_at(now() - secs(13), secs(10)).missed_ticks(MissedTicks::Burst);
    assert_eq!(ticks(&mut earlier, 3).await, [(0, 13), (10, 13), (20, 20)]);
}

#[evloop::test]
async fn skip_leaves_missed_ticks_out_and_keeps_the_pace() {
    begin();
    let mut every = interval(secs(10));
    assert_eq!(tick(&mut every).await, (0, 0));
    sleep(secs(35)).await;
    assert_eq!(ticks(&mut every, 3).await, [(10, 35), (40, 40), (50, 50)]);
}

#[evloop::test]
async fn skip_goes_on_after_a_delay_of_exactly_some_periods() {
    begin();
    let mut every = interval(secs(10));
    assert_eq!(tick(&mut every).await, (0, 0));
    sleep(secs(10)).await;
    assert_eq!(tick(&mut every).await, (10, 10), "in time");
    sleep(secs(20)).await;
    assert_eq!(ticks(&mut every, 2).await, [(20, 30), (40, 40)], "the next that is still to come");
}

#[evloop::test]
async fn burst_catches_up_without_waiting() {
    begin();
    let mut every = interval(secs(10)).missed_ticks(MissedTicks::Burst);
    assert_eq!(tick(&mut every).await, (0, 0));
    sleep(secs(35)).await;
    assert_eq!(ticks(&mut every, 5).await, [(10, 35), (20, 35), (30, 35), (40, 40), (50, 50)]);
}

#[evloop::test]
async fn delay_starts_the_pace_anew() {
    begin();
    let mut every = interval(secs(10)).missed_ticks(MissedTicks::Delay);
    assert_eq!(tick(&mut every).await, (0, 0));
    sleep(secs(35)).await;
    assert_eq!(ticks(&mut every, 3).await, [(10, 35), (45, 45), (55, 55)]);
}

#[evloop::test]
async fn the_default_is_to_skip() {
    assert_eq!(MissedTicks::default(), MissedTicks::Skip);
    assert!(format!("{:?}", interval(secs(1))).contains("Skip"));
}

#[evloop::test]
async fn a_tick_that_nobody_saw_comes_again() {
    begin();
    let mut every = interval(secs(10));
    every.tick().await;
    assert!(wait_for(every.tick(), secs(4)).await.is_err());
    assert!(wait_for(every.tick(), secs(4)).await.is_err());
    assert_eq!(ticks(&mut every, 2).await, [(10, 10), (20, 20)]);
}

#[evloop::test(order = "fifo")]
async fn two_intervals_keep_their_order() {
    begin();
    let log = crate::support::Log::new();
    let runners = [(2, "two"), (3, "three")].map(|(period, name)| {
        let log = log.clone();
        create_task(async move {
            let mut every = interval(secs(period));
            loop {
                let due = every.tick().await;
                log.push(format!("{name} at {}", seconds(due)));
            }
        })
    });
    sleep(millis(6500)).await;
    runners.iter().for_each(|runner| assert!(runner.cancel()));
    let expected = ["two at 0", "three at 0", "two at 2", "three at 3", "two at 4", "three at 6", "two at 6"];
    assert_eq!(log.take(), expected);
    yield_now().await;
}

#[evloop::test]
async fn a_period_of_nothing_is_refused() {
    assert!(panic_of(|| interval(Duration::ZERO)).contains("use yield_now()"));
}
