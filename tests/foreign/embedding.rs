//! A host that turns the loop itself: it watches the descriptor and the deadline, and misses nothing that
//! other threads do.

#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use evloop::EventLoop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Chance, Watch, beside, lock};

/// Waits as a host does, for the descriptor or the deadline. Without a deadline for so long that a wake-up
/// must have been lost.
fn wait(event_loop: &EventLoop) {
    let now = Instant::now();
    let timeout = match event_loop.next_deadline() {
        Some(deadline) => deadline.saturating_duration_since(now),
        None => Duration::from_secs(60),
    };
    let timeout = Timespec::try_from(timeout).unwrap();
    let seen = poll(&mut [PollFd::new(&event_loop.as_fd(), PollFlags::IN)], Some(&timeout)).unwrap();
    assert!(seen > 0 || event_loop.next_deadline().is_some(), "nothing came for a minute");
}

#[test]
fn a_host_that_watches_the_descriptor_misses_no_wake_up() {
    const ROUNDS: usize = 1500;
    let _watch = Watch::new("host");
    for portable in [false, true] {
        let (told, heard) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let slot: Mutex<Option<Waker>> = Mutex::new(None);
        beside(
            1,
            |_| {
                let mut chance = Chance::new(11);
                for round in 1..=ROUNDS {
                    while heard.load(Ordering::Acquire) + 1 < round {
                        std::hint::spin_loop();
                    }
                    chance.dawdle();
                    told.store(round, Ordering::Release);
                    let waker = lock(&slot).clone();
                    waker.into_iter().for_each(Waker::wake);
                }
            },
            || {
                let mut event_loop = EventLoop::builder().portable_wait(portable).build().unwrap();
                let waker = Rc::new(Cell::new(None));
                let task = event_loop.handle().create_task({
                    let waker = waker.clone();
                    poll_fn(move |cx| {
                        waker.set(Some(cx.waker().clone()));
                        Poll::<()>::Pending
                    })
                });
                let mut expected = 1;
                while expected <= ROUNDS {
                    wait(&event_loop);
                    event_loop.run_once(Some(Duration::ZERO)).unwrap();
                    if let Some(waker) = waker.take() {
                        *lock(&slot) = Some(waker);
                    }
                    // Looked at after the waker was given away: who tells later wakes.
                    while expected <= told.load(Ordering::Acquire) {
                        heard.store(expected, Ordering::Release);
                        expected += 1;
                    }
                }
                task.cancel();
            },
        );
    }
}

/// Whether the host is told to make a turn, by the descriptor alone.
fn is_readable(event_loop: &EventLoop) -> bool {
    poll(&mut [PollFd::new(&event_loop.as_fd(), PollFlags::IN)], Some(&Timespec::default())).unwrap() > 0
}

#[test]
fn what_a_destructor_does_to_the_loop_between_turns_is_told_to_the_host() {
    struct OnDrop<F: FnMut()>(F);
    impl<F: FnMut()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    type Does = fn(&Rc<Cell<Option<Waker>>>);
    let does: [(&str, Does); 4] = [
        ("wakes", |waker| waker.take().unwrap().wake()),
        ("wakes by reference", |waker| waker.take().unwrap().wake_by_ref()),
        ("calls soon", |_| drop(evloop::get_running_loop().map(|handle| handle.call_soon(|| ())))),
        ("begins to sleep", |_| {
            // Never dropped, so it stays in the wheel.
            let mut sleep = ManuallyDrop::new(evloop::sleep(Duration::from_secs(9)));
            assert!(Pin::new(&mut *sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }),
    ];
    for (name, does) in does {
        let mut event_loop = EventLoop::new().unwrap();
        let waker = Rc::new(Cell::new(None));
        let waiting = event_loop.handle().create_task({
            let waker = waker.clone();
            poll_fn(move |cx| {
                waker.set(Some(cx.waker().clone()));
                Poll::<()>::Pending
            })
        });
        let output = OnDrop(move || does(&waker));
        let ended = event_loop.handle().create_task(async move { output });
        while is_readable(&event_loop) {
            event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
        // The value of a task that nobody took, dropped between turns.
        drop(ended);
        assert!(is_readable(&event_loop), "{name}: a host that waits for the descriptor is not told");
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        waiting.cancel();
    }
}

#[test]
fn calls_from_other_threads_reach_a_host_that_only_watches() {
    const CALLS: u64 = 400;
    let _watch = Watch::new("calls");
    let mut event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    beside(
        2,
        |number| {
            let (proxy, mut chance) = (proxy.clone(), Chance::new(number));
            for _ in 0..CALLS {
                proxy.call_soon(|| _ = CALLED.fetch_add(1, Ordering::Relaxed)).unwrap();
                chance.dawdle();
            }
        },
        || {
            while CALLED.load(Ordering::Relaxed) < 2 * CALLS as usize {
                wait(&event_loop);
                event_loop.run_once(Some(Duration::ZERO)).unwrap();
            }
        },
    );
}
