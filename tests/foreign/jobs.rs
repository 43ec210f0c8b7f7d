//! Blocking jobs that end at the wrong moment.

use std::future::{Future, pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use evloop::time::{millis, secs};
use evloop::{Clock, EventLoop, to_thread};

use crate::support::{Chance, Ledger, Watch};

/// Fails when it is dropped, without a word.
struct FailsWhenDropped;

impl Drop for FailsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new("expected"));
        }
    }
}

/// A waker that fails when it is called.
struct FailsWhenWoken;

impl Wake for FailsWhenWoken {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("expected"));
    }
}

#[test]
fn jobs_may_end_while_the_loop_ends() {
    let _watch = Watch::new("jobs");
    let ledger = Arc::new(Ledger::default());
    for round in 0..40 {
        let mut chance = Chance::new(round);
        let mut event_loop = EventLoop::new().unwrap();
        for _ in 0..4 {
            let (probe, at_home) = (ledger.anywhere(), ledger.at_home());
            let spins = chance.below(3000);
            let job = to_thread(move || {
                (0..spins).for_each(|_| std::hint::spin_loop());
                probe
            });
            let task = event_loop.handle().create_task(async move {
                let _at_home = at_home;
                job.await
            });
            if chance.below(2) == 0 {
                task.cancel();
            }
            task.detach();
        }
        for _ in 0..chance.below(6) {
            event_loop.run_once(Some(Duration::from_micros(chance.below(100)))).unwrap();
        }
        drop(event_loop);
    }
    // The last jobs' threads end by themselves.
    let deadline = Instant::now() + Duration::from_secs(60);
    while ledger.alive() > 0 && Instant::now() < deadline {
        thread::yield_now();
    }
    ledger.assert_balanced();
}

/// Begins a job, waits until it runs, and leaves it.
async fn abandon<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) {
    let (begun, wait) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    {
        let mut job = pin!(to_thread(move || {
            begun.send(()).unwrap();
            let _ = gone.recv();
            job()
        }));
        assert!(poll_fn(|cx| Poll::Ready(job.as_mut().poll(cx).is_pending())).await);
        wait.recv().unwrap();
    }
    drop(go);
}

#[test]
fn a_failing_destructor_on_a_pool_thread_costs_neither_the_thread_nor_the_end_of_the_run() {
    let _watch = Watch::new("failing destructors");
    let began = Instant::now();
    evloop::run(async {
        // More than there are threads.
        for _ in 0..40 {
            abandon(|| FailsWhenDropped).await;
        }
        assert_eq!(to_thread(|| 5).await, 5);
        abandon(|| FailsWhenDropped).await;
    });
    assert!(began.elapsed() < Duration::from_secs(9), "the end waited for a job that has ended");
}

#[test]
fn a_failing_waker_on_a_pool_thread_costs_no_thread() {
    let _watch = Watch::new("failing wakers");
    let began = Instant::now();
    evloop::run(async {
        for _ in 0..40 {
            let ended = Arc::new(AtomicBool::new(false));
            let mut job = pin!(to_thread({
                let ended = ended.clone();
                move || ended.store(true, Ordering::Release)
            }));
            let waker = Waker::from(Arc::new(FailsWhenWoken));
            assert!(job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            while !ended.load(Ordering::Acquire) {
                evloop::sleep(millis(1)).await;
            }
        }
        assert_eq!(to_thread(|| 5).await, 5);
    });
    assert!(began.elapsed() < Duration::from_secs(9), "the end waited for a job that has ended");
}

#[test]
fn virtual_time_stands_still_for_jobs_and_goes_on_after_them() {
    let _watch = Watch::new("jobs and virtual time");
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    for round in 0..100 {
        let mut chance = Chance::new(round);
        let spins = chance.below(2000);
        let (job, waits) = (
            to_thread(move || (0..spins).for_each(|_| std::hint::spin_loop())),
            event_loop.handle().create_task(pending::<()>()),
        );
        let ended = event_loop.run_until_complete(async {
            // The deadline is nearer than any job's end, and the job is first all the same.
            let job = evloop::wait_for(job, Duration::from_nanos(1)).await;
            evloop::sleep(secs(3600)).await;
            job
        });
        assert_eq!(ended.unwrap(), Ok(()));
        waits.cancel();
    }
}

#[test]
fn a_job_that_was_left_lets_virtual_time_go_on_when_it_ends() {
    let _watch = Watch::new("abandoned jobs and virtual time");
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    for round in 0..50 {
        let mut chance = Chance::new(round);
        let spins = chance.below(4000);
        let ended = event_loop.run_until_complete(async {
            {
                let mut job = pin!(to_thread(move || (0..spins).for_each(|_| std::hint::spin_loop())));
                let polled = poll_fn(|cx| Poll::Ready(job.as_mut().poll(cx).is_pending())).await;
                assert!(polled);
            }
            evloop::sleep(secs(3600)).await;
        });
        assert!(ended.is_ok());
    }
}
