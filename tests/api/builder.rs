//! What the builder's options change, and what they must not change.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{Builder, Clock, EventLoop, RunError, call_later, create_task, sleep, yield_now};

use crate::support::{forever_with, pause, tick};

/// A timer, a wake from another thread, a call from another thread and a blocking job, on one loop.
fn everything_works(builder: Builder) {
    let mut event_loop = builder.build().unwrap();
    let proxy = event_loop.handle().proxy();
    event_loop
        .run_until_complete(async {
            let start = evloop::now();
            sleep(millis(3)).await;
            let took = evloop::now() - start;
            assert!(took >= millis(3) && took < secs(2), "{took:?}");

            let (sender, receiver) = futures::channel::oneshot::channel();
            let waker = thread::spawn(move || {
                pause(millis(2));
                sender.send("woken").unwrap();
            });
            assert_eq!(receiver.await, Ok("woken"));
            waker.join().unwrap();

            let (sender, receiver) = futures::channel::oneshot::channel();
            let caller = thread::spawn(move || {
                pause(millis(2));
                proxy.call_soon(move || sender.send("called").unwrap()).unwrap();
            });
            assert_eq!(receiver.await, Ok("called"));
            caller.join().unwrap();

            assert_eq!(evloop::to_thread(|| "worked").await, "worked");
        })
        .unwrap();
}

#[test]
fn the_default_wait_runs_timers_and_foreign_wakes() {
    everything_works(Builder::new());
    everything_works(Builder::default());
}

#[test]
fn the_portable_wait_runs_timers_and_foreign_wakes() {
    everything_works(EventLoop::builder().portable_wait(true));
}

#[test]
fn the_other_options_change_nothing_about_that() {
    everything_works(EventLoop::builder().precise_timers(false));
    everything_works(EventLoop::builder().steps_per_look(1));
    everything_works(EventLoop::builder().steps_per_look(1000).detect_stuck(true));
    everything_works(EventLoop::builder().clock(Clock::Monotonic));
}

/// The iteration in which a timer that is due at once is seen to have fired, by a task that only yields.
fn fired_in_iteration(steps: u32) -> u64 {
    let mut event_loop = EventLoop::builder().steps_per_look(steps).build().unwrap();
    event_loop
        .run_until_complete(async {
            let fired = Rc::new(Cell::new(None));
            let _ = call_later(Duration::ZERO, {
                let fired = fired.clone();
                move || fired.set(Some(tick()))
            });
            while fired.get().is_none() {
                yield_now().await;
            }
            fired.get().unwrap()
        })
        .unwrap()
}

#[test]
fn timers_are_looked_at_once_per_so_many_steps() {
    assert_eq!(fired_in_iteration(1), 2, "asyncio's once per iteration");
    assert_eq!(fired_in_iteration(0), 2, "0 is taken as 1");
    assert_eq!(fired_in_iteration(10), 11);
    assert_eq!(fired_in_iteration(100), 101);
}

#[test]
fn by_default_a_busy_loop_looks_at_its_timers_after_64_steps_at_most() {
    let mut event_loop = EventLoop::new().unwrap();
    let iterations = event_loop
        .run_until_complete(async {
            let fired = Rc::new(Cell::new(false));
            let _ = call_later(Duration::ZERO, {
                let fired = fired.clone();
                move || fired.set(true)
            });
            while !fired.get() {
                yield_now().await;
            }
            tick()
        })
        .unwrap();
    assert!(iterations <= 66, "{iterations}");
}

#[test]
fn the_virtual_clock_looks_once_per_iteration_whatever_was_asked_for() {
    let builder = EventLoop::builder().clock(Clock::Virtual).steps_per_look(1000);
    let mut event_loop = builder.build().unwrap();
    let fired = event_loop.run_until_complete(async {
        let fired = Rc::new(Cell::new(0));
        let seen = fired.clone();
        let _ = call_later(Duration::ZERO, move || seen.set(tick()));
        yield_now().await;
        yield_now().await;
        fired.get()
    });
    assert_eq!(fired.unwrap(), 2);
}

#[test]
fn a_stuck_loop_names_its_tasks() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut event_loop = builder.build().unwrap();
    let line = line!() + 1;
    let stuck = event_loop.handle().create_task(forever_with(()));
    stuck.set_name("the stuck one");
    // A second of silence, since another thread might hold a waker: this is real time.
    let began = evloop::now();
    let error = event_loop.run_until_complete(forever_with(())).unwrap_err();
    assert!(began.elapsed() >= secs(1) && began.elapsed() < secs(5));
    let text = error.to_string();
    let RunError::Stuck(stuck_tasks) = error else { panic!("{error:?}") };
    assert_eq!(stuck_tasks.tasks().len(), 2, "the one below and main");
    let expected = format!("the stuck one created at {}:{line}:", file!());
    assert!(stuck_tasks.tasks()[0].to_string().starts_with(&expected), "{stuck_tasks}");
    assert!(text.starts_with("all tasks are stuck") && text.contains(&expected), "{text}");
    assert!(!stuck.done(), "it is still there; the host may do something about it");
}

#[test]
fn a_loop_that_waits_for_another_thread_is_not_stuck() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut event_loop = builder.build().unwrap();
    let (sender, receiver) = futures::channel::oneshot::channel();
    let (start, started) = mpsc::channel();
    let thread = thread::spawn(move || {
        started.recv().unwrap();
        pause(millis(20));
        sender.send(5).unwrap();
    });
    let value = event_loop.run_until_complete(async {
        start.send(()).unwrap();
        receiver.await
    });
    assert_eq!(value.unwrap(), Ok(5));
    thread.join().unwrap();
}

#[test]
fn a_proxy_makes_virtual_time_pass_at_real_pace() {
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    let proxy = event_loop.handle().proxy();
    let began = evloop::now();
    event_loop.run_until_complete(async { sleep(millis(20)).await }).unwrap();
    assert!(began.elapsed() >= millis(19), "something might have come: {:?}", began.elapsed());
    drop(proxy);
    let began = evloop::now();
    event_loop.run_until_complete(async { sleep(secs(3600)).await }).unwrap();
    assert!(began.elapsed() < secs(5), "nothing can come any more");
}

#[test]
fn a_proxy_that_is_dropped_on_another_thread_lets_time_jump_again() {
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    let proxy = event_loop.handle().proxy();
    let began = evloop::now();
    let thread = thread::spawn(move || {
        pause(millis(10));
        drop(proxy);
    });
    event_loop.run_until_complete(async { sleep(secs(3600)).await }).unwrap();
    assert!(began.elapsed() >= millis(10) && began.elapsed() < secs(5), "{:?}", began.elapsed());
    thread.join().unwrap();
}

#[test]
fn a_builder_can_be_kept_and_used_again() {
    let builder = EventLoop::builder().clock(Clock::Virtual);
    let mut first = builder.clone().build().unwrap();
    let mut second = builder.build().unwrap();
    let tasks = [&first, &second].map(|event_loop| event_loop.handle().create_task(sleep(secs(3600))));
    let [a, b] = tasks;
    first.run_until_complete(a).unwrap().unwrap();
    second.run_until_complete(b).unwrap().unwrap();
}

#[cfg(target_os = "linux")]
mod timer_slack {
    //! The thread's timer slack, as Linux shows it.

    use evloop::EventLoop;

    fn slack() -> u64 {
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        let id = thread.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(format!("/proc/{id}/timerslack_ns")).unwrap();
        text.trim().parse().unwrap()
    }

    fn inside(precise: bool) -> u64 {
        let mut event_loop = EventLoop::builder().precise_timers(precise).build().unwrap();
        event_loop.run_until_complete(async { slack() }).unwrap()
    }

    #[test]
    fn it_is_least_while_the_loop_runs_and_restored_afterwards() {
        let before = slack();
        assert!(before > 1, "Linux's default is 50 microseconds");
        assert_eq!(inside(true), 1);
        assert_eq!(slack(), before);
        assert_eq!(inside(false), before);
        let panicked = std::panic::catch_unwind(|| evloop::run(async { panic!("main") }));
        assert!(panicked.is_err());
        assert_eq!(slack(), before, "also after a panic of main");
    }
}

#[test]
fn a_task_that_always_yields_does_not_keep_other_threads_out() {
    let mut event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    let (sender, receiver) = futures::channel::oneshot::channel();
    event_loop
        .run_until_complete(async {
            let busy = create_task(async {
                loop {
                    yield_now().await;
                }
            });
            let thread = thread::spawn(move || {
                proxy.call_soon(move || sender.send("heard").unwrap()).unwrap();
            });
            assert_eq!(receiver.await, Ok("heard"));
            thread.join().unwrap();
            busy.cancel();
        })
        .unwrap();
}
