//! Proxies and remote tasks that race with the end of their loop, or with its virtual clock.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evloop::time::secs;
use evloop::{Clock, EventLoop, LoopProxy, TaskError};

use crate::support::{Chance, Ledger, Watch, beside};

#[test]
fn what_a_proxy_was_asked_is_done_or_dropped_once_and_never_forgotten() {
    let _watch = Watch::new("proxies");
    let ledger = Arc::new(Ledger::default());
    let (accepted, run) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..25 {
        let mut event_loop = EventLoop::new().unwrap();
        let proxy = event_loop.handle().proxy();
        let ask = |number: u64| {
            let (proxy, mut chance) = (proxy.clone(), Chance::new(round * 10 + number));
            // Until the loop is gone: the test ends because it goes.
            loop {
                let (probe, run) = (ledger.anywhere(), run.clone());
                let call = move || {
                    let _probe = probe;
                    run.fetch_add(1, Ordering::SeqCst);
                };
                match proxy.clone().call_soon(call) {
                    Ok(()) => drop(accepted.fetch_add(1, Ordering::SeqCst)),
                    Err(_) => break,
                }
                chance.dawdle();
            }
        };
        beside(2, ask, || {
            let mut chance = Chance::new(round);
            for _ in 0..chance.below(40) {
                event_loop.run_once(Some(Duration::from_micros(chance.below(60)))).unwrap();
            }
            drop(event_loop);
        });
    }
    ledger.assert_balanced();
    assert!(run.load(Ordering::SeqCst) <= accepted.load(Ordering::SeqCst));
}

/// Starts tasks of all kinds until the loop is gone; each of them must come to an end.
fn start_tasks(proxy: &LoopProxy, ledger: &Arc<Ledger>, chance: &mut Chance) {
    loop {
        let (input, at_home) = (ledger.anywhere(), ledger.clone());
        let endless = chance.below(3) == 0;
        let task = proxy.create_task(move || {
            let _input = input;
            // Made at home, and must be dropped there.
            let probe = at_home.at_home();
            async move {
                let _probe = probe;
                evloop::yield_now().await;
                if endless {
                    pending::<()>().await;
                }
                at_home.anywhere()
            }
        });
        match chance.below(4) {
            0 => drop(task),
            1 if !endless => match task.join() {
                Ok(output) => drop(output),
                Err(error) => {
                    assert!(error.is_cancelled());
                    return;
                }
            },
            2 => {
                task.cancel();
                let (Ok(_) | Err(TaskError::Cancelled(_))) = task.join() else { panic!("no task panics") };
            }
            _ => {
                let output = futures::executor::block_on(async {
                    task.cancel();
                    task.await
                });
                drop(output);
            }
        }
        if proxy.call_soon(|| ()).is_err() {
            return;
        }
    }
}

#[test]
fn remote_tasks_end_however_they_meet_the_end_of_the_loop() {
    let _watch = Watch::new("remote tasks");
    let ledger = Arc::new(Ledger::default());
    for round in 0..25 {
        let mut event_loop = EventLoop::new().unwrap();
        let proxy = event_loop.handle().proxy();
        let start = |number| start_tasks(&proxy.clone(), &ledger, &mut Chance::new(round * 10 + number));
        beside(2, start, || {
            let mut chance = Chance::new(round);
            for _ in 0..chance.below(60) {
                event_loop.run_once(Some(Duration::from_micros(chance.below(60)))).unwrap();
            }
            if chance.below(2) == 0 {
                event_loop.cancel_all_tasks().unwrap();
            }
            drop(event_loop);
        });
    }
    ledger.assert_balanced();
}

#[test]
fn a_remote_task_that_ended_with_the_last_turn_keeps_its_value() {
    let mut event_loop = EventLoop::builder().steps_per_look(1).build().unwrap();
    let proxy = event_loop.handle().proxy();
    let task = proxy.create_task(|| async { 5 });
    let failed = proxy.create_task(|| async { std::panic::resume_unwind(Box::new("expected")) });
    let cut_off = proxy.create_task(pending::<()>);
    // The call that makes the task, then its only step; who is told of its end would be next.
    for _ in 0..2 {
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    drop(event_loop);
    assert_eq!(task.join().unwrap(), 5);
    let failed: Result<(), _> = failed.join();
    assert!(failed.unwrap_err().is_panic());
    let Err(TaskError::Cancelled(error)) = cut_off.join() else { panic!("it never ends by itself") };
    assert_eq!(error.message(), Some("the event loop is closed"));
}

#[test]
fn virtual_time_goes_on_whenever_the_last_proxy_goes() {
    let _watch = Watch::new("virtual time");
    let began = Instant::now();
    for round in 0..150 {
        let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
        let proxy = event_loop.handle().proxy();
        let mut chance = Chance::new(round);
        let delay = chance.below(200);
        let other = thread::spawn(move || {
            (0..delay).for_each(|_| std::hint::spin_loop());
            let more = proxy.clone();
            drop(proxy);
            drop(more);
        });
        (0..chance.below(200)).for_each(|_| std::hint::spin_loop());
        event_loop.run_until_complete(evloop::sleep(secs(3600))).unwrap();
        other.join().unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(60), "an hour was slept in real time");
}

#[test]
fn the_last_reference_to_a_loop_may_go_anywhere() {
    for round in 0..100 {
        let event_loop = EventLoop::new().unwrap();
        let task = event_loop.handle().create_task(pending::<()>());
        let proxy = event_loop.handle().proxy();
        let other = thread::spawn(move || {
            let mut chance = Chance::new(round);
            let more = [proxy.clone(), proxy.clone()];
            chance.dawdle();
            drop(proxy);
            chance.dawdle();
            drop(more);
        });
        // Nothing but the counts themselves orders what the two threads do here.
        Chance::new(round + 1000).dawdle();
        drop(event_loop);
        Chance::new(round + 2000).dawdle();
        drop(task);
        other.join().unwrap();
    }
}

#[test]
fn a_stop_from_another_thread_is_heard() {
    let _watch = Watch::new("stop");
    for round in 0..60 {
        let mut event_loop = EventLoop::new().unwrap();
        let proxy = event_loop.handle().proxy();
        let mut chance = Chance::new(round);
        beside(
            1,
            |_| {
                let mut chance = Chance::new(round + 1);
                chance.dawdle();
                proxy.stop().unwrap();
            },
            || {
                chance.dawdle();
                event_loop.run_forever().unwrap();
            },
        );
    }
}
