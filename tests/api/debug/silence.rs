//! A loop that nothing can wake any more: what its tasks wait for. The second of silence before that is real.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use evloop::debug::DebugReport;
use evloop::time::secs;
use evloop::{Clock, Event, EventLoop, Lock, Promise, Queue, RunError, create_task, yield_now};

use super::told;
use crate::support::{pause, poll_once};

/// Two tasks that take two locks in different orders. Named `one` and `other`.
async fn two_locks() {
    let locks = Rc::new([Lock::new(()), Lock::new(())]);
    let take = |first: usize, name: &'static str| {
        let locks = locks.clone();
        let task = create_task(async move {
            let _first = locks[first].acquire().await;
            yield_now().await;
            let _second = locks[1 - first].acquire().await;
        });
        task.set_name(name);
        task
    };
    let (one, other) = (take(0, "one"), take(1, "other"));
    evloop::current_task().unwrap().set_name("main");
    one.await.unwrap();
    other.await.unwrap();
}

/// A line of a report without the place of creation.
fn without_places(text: &str) -> Vec<String> {
    let strip = |line: &str| match line.split_once(" created at ") {
        Some((before, after)) => format!("{before}: {}", after.split_once(": ").map_or("", |(_, rest)| rest)),
        None => line.to_owned(),
    };
    text.lines().map(strip).collect()
}

#[test]
fn a_deadlock_of_two_locks_is_named_when_the_run_ends_stuck() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let error = builder.build().unwrap().run_until_complete(two_locks()).unwrap_err();
    let text = error.to_string();
    assert_eq!(
        without_places(&text),
        [
            "all tasks are stuck: nothing is ready, no timer is set and nobody else can wake them",
            "  main: waits for the end of one",
            "  one: waits for Lock::acquire, held by other",
            "  other: waits for Lock::acquire, held by one",
            "a deadlock: one waits for other, other waits for one",
        ],
        "{text}"
    );
    let RunError::Stuck(stuck) = error else { panic!("{error:?}") };
    let [main, one, other] = stuck.tasks() else { panic!("{stuck}") };
    assert_eq!(stuck.circles(), [[one.task().id(), other.task().id()]]);
    assert_eq!(main.waits()[0].tasks(), [one.task().id()]);
    assert!(!main.is_ready());
    assert_eq!(one.task().location().unwrap().file(), file!());
}

#[test]
fn in_debug_mode_the_silence_is_told_of_once_and_the_loop_goes_on_waiting() {
    for clock in [Clock::Monotonic, Clock::Virtual] {
        let (builder, told) = told();
        let mut event_loop = builder.clock(clock).build().unwrap();
        // A waker that another thread holds, of which the loop knows nothing.
        let (wake, woken) = futures::channel::oneshot::channel();
        let thread = thread::spawn(move || {
            let stuck = loop {
                match told.recv().unwrap() {
                    DebugReport::Stuck(stuck) => break stuck,
                    _ => continue,
                }
            };
            // Another second of silence, about which nothing is told.
            pause(Duration::from_millis(1200));
            let again = told.try_iter().any(|report| matches!(report, DebugReport::Stuck(_)));
            wake.send(()).unwrap();
            (stuck, again)
        });
        let queue = Rc::new(Queue::<u8>::new(0));
        let items = queue.clone();
        let consumer = event_loop.handle().create_task(async move { items.get().await.is_ok() });
        consumer.set_name("consumer");
        let value = event_loop.run_until_complete(async {
            evloop::current_task().unwrap().set_name("main");
            woken.await.unwrap();
            queue.put(1).await.unwrap();
            consumer.await.unwrap()
        });
        assert!(value.unwrap());
        let (stuck, again) = thread.join().unwrap();
        assert!(!again, "it was told twice");
        let texts = without_places(&stuck.to_string());
        assert_eq!(texts[1], "  consumer: waits for Queue::get");
        assert_eq!(texts[2], "  main: waits for something that does not say what it is");
        assert!(stuck.circles().is_empty());
    }
}

#[test]
fn what_could_go_on_though_nobody_has_woken_it_is_named() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut event_loop = builder.build().unwrap();
    let forgetful = event_loop.handle().create_task({
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            // It keeps no waker: a bug.
            if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
        })
    });
    forgetful.set_name("forgetful");
    let error = event_loop.run_until_complete(pending::<()>()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("went on when it was asked, though nobody had woken it"), "{text}");
    assert!(forgetful.done());
}

#[test]
fn what_ends_when_it_is_asked_waits_for_nothing_any_more() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut event_loop = builder.build().unwrap();
    let half = event_loop.handle().create_task(async {
        let event = Event::new();
        let mut other_half = pin!(event.wait());
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            assert!(other_half.as_mut().poll(cx).is_pending());
            if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
        })
        .await
    });
    half.set_name("half");
    let error = event_loop.run_until_complete(pending::<()>()).unwrap_err();
    let lines = without_places(&error.to_string());
    assert_eq!(lines[1], "  half: went on when it was asked, though nobody had woken it");
}

#[test]
fn a_panic_of_a_task_that_is_asked_is_its_own() {
    let builder = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut event_loop = builder.build().unwrap();
    let mut touchy = event_loop.handle().create_task({
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            assert!(polls < 2, "polled for nothing");
            Poll::<()>::Pending
        })
    });
    let promise = Promise::<u8>::new();
    let other = event_loop.handle().create_task({
        let promise = promise.clone();
        async move { promise.await.unwrap() }
    });
    let error = event_loop.run_until_complete(pending::<()>()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("waits for Promise made at {}", promise.location())), "{text}");
    assert!(matches!(touchy.take_result(), Some(Err(evloop::TaskError::Panicked(_)))));
    assert!(!other.done());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(poll_once(&mut other.join(), &mut cx).is_pending());
}

/// Waits, while others may have something to say, for longer than the silence that would be told of.
fn waits_quietly(
    prepare: impl FnOnce(&evloop::LoopHandle) -> Box<dyn std::any::Any> + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (builder, told) = told();
        let mut event_loop = builder.build().unwrap();
        let kept = prepare(&event_loop.handle());
        let (wake, woken) = futures::channel::oneshot::channel();
        let waker = thread::spawn(move || {
            pause(Duration::from_millis(1300));
            wake.send(()).unwrap();
        });
        event_loop.run_until_complete(woken).unwrap().unwrap();
        waker.join().unwrap();
        drop(kept);
        assert!(!told.try_iter().any(|report| matches!(report, DebugReport::Stuck(_))));
    })
}

/// A task that receives from other threads; the end that they send by.
fn waits_for_a_thread(handle: &evloop::LoopHandle) -> evloop::channel::thread::Sender<u8> {
    let (sender, mut receiver) = evloop::channel::thread::channel(1);
    handle.create_task(async move { receiver.recv().await }).detach();
    sender
}

#[test]
fn a_loop_to_which_something_may_still_come_is_not_silent() {
    let quiet = [
        waits_quietly(|handle| Box::new(handle.proxy())),
        waits_quietly(|handle| Box::new(handle.call_later(secs(60), || ()))),
        waits_quietly(|handle| {
            Box::new(handle.create_task(async {
                let listener = evloop::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                listener.accept().await.is_ok()
            }))
        }),
        waits_quietly(|handle| {
            let (end, ended) = std::sync::mpsc::channel::<()>();
            handle.create_task(evloop::to_thread(move || ended.recv().is_ok())).detach();
            Box::new(end)
        }),
        waits_quietly(|handle| Box::new(waits_for_a_thread(handle))),
        waits_quietly(|handle| {
            handle.set_debug(false);
            let sender = waits_for_a_thread(handle);
            let event_loop = handle.clone();
            handle.call_soon(move || event_loop.set_debug(true)); // when the wait has begun
            Box::new(sender)
        }),
        waits_quietly(|handle| {
            let (give, proxies) = std::sync::mpsc::channel();
            let (end, mut ended) = evloop::channel::thread::channel::<()>(1);
            thread::spawn(move || {
                evloop::run(async move {
                    give.send(evloop::get_running_loop().unwrap().proxy()).unwrap();
                    ended.recv().await;
                })
            });
            let remote = proxies.recv().unwrap().create_task(pending::<()>);
            handle.create_task(async move { remote.await.is_ok() }).detach();
            Box::new(end)
        }),
    ];
    for thread in quiet {
        thread.join().unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_loop_that_listens_to_a_signal_is_not_silent() {
    let quiet = waits_quietly(|handle| {
        Box::new(handle.create_task(async {
            let mut signals = evloop::signal::signal(evloop::signal::Signal::SIGUSR2).unwrap();
            signals.recv().await;
        }))
    });
    quiet.join().unwrap();
}
