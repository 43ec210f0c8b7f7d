//! A loop and its tasks as other threads see them: `LoopProxy` and `RemoteTask`.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{
    Clock, EventLoop, LoopClosed, LoopProxy, RemoteTask, RunError, TaskError, all_tasks, catch_cancel,
    create_task, current_task, get_running_loop, run, sleep, to_thread, yield_now,
};

use crate::support::{panic_of, pause, reports, reports_of, yields};

fn proxy() -> LoopProxy {
    get_running_loop().unwrap().proxy()
}

fn assert_send_and_sync<T: Send + Sync>() {}

#[test]
fn proxies_and_remote_tasks_may_go_anywhere() {
    assert_send_and_sync::<LoopProxy>();
    assert_send_and_sync::<RemoteTask<u8>>();
    assert_send_and_sync::<LoopClosed>();
    assert_send_and_sync::<TaskError>();
}

#[evloop::test(clock = "real")]
async fn the_future_is_made_and_polled_on_the_loops_thread_and_need_not_be_send() {
    let (proxy, here) = (proxy(), thread::current().id());
    let seen = to_thread(move || {
        let there = thread::current().id();
        let made = proxy.create_task(|| {
            let not_send = Rc::new(thread::current().id());
            async move {
                yield_now().await;
                (*not_send, thread::current().id())
            }
        });
        (there, made.join().unwrap())
    });
    let (there, (made, polled)) = seen.await;
    assert_ne!(there, here);
    assert_eq!((made, polled), (here, here));
}

#[evloop::test(clock = "real")]
async fn a_remote_task_is_an_ordinary_one_of_the_loop() {
    let (proxy, line) = (proxy(), line!() + 2);
    let remote = to_thread(move || {
        proxy.create_task(|| async {
            let own = current_task().unwrap();
            own.set_name("remote");
            (own.id(), own.location().unwrap().line())
        })
    });
    let (id, at) = remote.await.await.unwrap();
    assert_eq!(at, line, "created where the other thread said so");
    assert!(id > current_task().unwrap().id());
}

#[evloop::test(clock = "real", order = "fifo")]
async fn calls_of_one_thread_come_in_their_order() {
    let (proxy, count) = (proxy(), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    let in_order = to_thread(move || {
        let (sender, receiver) = mpsc::channel();
        for n in 0..1000 {
            let (sender, counter) = (sender.clone(), counter.clone());
            proxy
                .call_soon(move || {
                    counter.fetch_add(1, Ordering::Relaxed);
                    sender.send(n).unwrap();
                })
                .unwrap();
        }
        drop(sender);
        receiver.iter().eq(0..1000)
    });
    assert!(in_order.await);
    assert_eq!(count.load(Ordering::Relaxed), 1000);
}

#[evloop::test(clock = "real")]
async fn calls_of_many_threads_all_come() {
    let count = Arc::new(AtomicUsize::new(0));
    let threads = (0..8).map(|_| {
        let (proxy, count) = (proxy(), count.clone());
        to_thread(move || {
            for _ in 0..500 {
                let count = count.clone();
                proxy
                    .call_soon(move || {
                        count.fetch_add(1, Ordering::Relaxed);
                    })
                    .unwrap();
            }
            // Behind all of this thread's calls.
            proxy.create_task(|| async {}).join().unwrap();
        })
    });
    evloop::gather(threads).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 8 * 500);
}

#[evloop::test(clock = "real")]
async fn a_panic_in_a_call_goes_to_the_loops_handler() {
    let (reports, proxy) = (reports(), proxy());
    to_thread(move || proxy.call_soon(|| panic!("in a call")).unwrap()).await;
    yields(2).await;
    assert_eq!(reports.take(), ["in a call"]);
}

#[evloop::test(clock = "real")]
async fn the_panic_of_a_remote_task_that_nobody_awaits_is_reported() {
    let (reports, proxy) = (reports(), proxy());
    to_thread(move || drop(proxy.create_task(|| async { panic!("nobody listens") }))).await;
    yields(5).await;
    assert_eq!(reports.take(), ["nobody listens"]);
}

#[evloop::test(clock = "real")]
async fn a_dropped_remote_task_runs_on() {
    let (sender, done) = mpsc::channel();
    let proxy = proxy();
    to_thread(move || {
        drop(proxy.create_task(|| async move {
            sleep(millis(1)).await;
            sender.send("ran on").unwrap();
        }));
    })
    .await;
    assert_eq!(to_thread(move || done.recv()).await, Ok("ran on"));
}

#[evloop::test(clock = "real")]
async fn a_remote_task_can_be_cancelled_before_it_began() {
    let proxy = proxy();
    let ended = to_thread(move || {
        let (blocked, is_blocked) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        // The loop is kept busy while both letters are posted.
        proxy
            .call_soon(move || {
                blocked.send(()).unwrap();
                let _ = may_go_on.recv();
            })
            .unwrap();
        is_blocked.recv().unwrap();
        let task = proxy.create_task(|| async { unreachable!("it never runs") as u8 });
        task.cancel();
        drop(go_on);
        task.join()
    });
    assert!(ended.await.unwrap_err().is_cancelled());
}

/// The request's letter may come to its turn before the one that begins the task.
#[test]
fn in_every_order_a_remote_task_that_was_asked_before_it_began_does_not() {
    for seed in 0..40 {
        let is_eager = seed % 2 == 0;
        let builder = EventLoop::builder().clock(Clock::Virtual).eager_tasks(is_eager);
        let mut event_loop = builder.shuffle(Some(seed)).build().unwrap();
        let ended = event_loop.run_until_complete(async {
            let task = proxy().create_task(|| async { unreachable!("it never runs") as u8 });
            task.cancel();
            task.await
        });
        assert!(ended.unwrap().unwrap_err().is_cancelled(), "seed {seed}, eager: {is_eager}");
    }
}

/// The request comes while the future is made, on a loop whose tasks are eager.
#[test]
fn an_eager_remote_task_begins_as_it_comes_but_not_if_it_was_asked_to_end() {
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).eager_tasks(true).build().unwrap();
    let (begins, reports) = event_loop
        .run_until_complete(async {
            let reports = reports();
            let begins = proxy().create_task(|| async {
                let begun_in = get_running_loop().unwrap().iterations();
                sleep(secs(1)).await;
                begun_in
            });
            let (sender, itself) = mpsc::channel::<RemoteTask<u8>>();
            let ends = proxy().create_task(move || {
                let task = itself.recv().unwrap();
                task.cancel();
                async move { unreachable!("{task:?} never runs") }
            });
            sender.send(ends).unwrap();
            let after = get_running_loop().unwrap().iterations();
            yields(4).await;
            assert_eq!(all_tasks().len(), 2, "of the other nothing is left");
            (begins.await.unwrap() - after, reports.take())
        })
        .unwrap();
    assert_eq!((begins, reports), (1, vec![]), "in the next iteration; and the other does not panic");
}

#[evloop::test(clock = "real")]
async fn a_remote_task_may_swallow_its_cancellation() {
    let proxy = proxy();
    let value = to_thread(move || {
        let (started, has_started) = mpsc::channel();
        let task = proxy.create_task(move || async move {
            started.send(()).unwrap();
            match catch_cancel(sleep(secs(3600))).await {
                Ok(()) => "slept",
                Err(cancellation) => {
                    cancellation.swallow();
                    "swallowed"
                }
            }
        });
        has_started.recv().unwrap();
        task.cancel();
        let value = task.join();
        value.unwrap()
    });
    assert_eq!(value.await, "swallowed");
}

#[evloop::test(clock = "real")]
async fn cancelling_a_finished_remote_task_does_nothing() {
    let proxy = proxy();
    let value = to_thread(move || {
        let task = proxy.create_task(|| async { 5 });
        while !task.done() {
            thread::yield_now();
        }
        task.cancel();
        assert!(format!("{task:?}").contains("done: true"));
        task.join()
    });
    assert_eq!(value.await.unwrap(), 5);
}

#[test]
fn a_task_can_be_awaited_from_another_loop_on_another_thread() {
    let (sender, receiver) = mpsc::channel();
    let server = thread::spawn(move || {
        run(async {
            sender.send(proxy()).unwrap();
            catch_cancel(std::future::pending::<()>()).await.unwrap_err().swallow();
        })
    });
    let there = receiver.recv().unwrap();
    let answers = run(async {
        let slow = there.create_task(|| async {
            sleep(millis(3)).await;
            "slow"
        });
        let failed = there.create_task(|| async { panic!("failed there") as u8 });
        let fast = there.create_task(|| async { thread::current().id() });
        let local = create_task(async { thread::current().id() });
        assert_ne!(fast.await.unwrap(), local.await.unwrap());
        let error = failed.await.unwrap_err();
        (slow.await.unwrap(), error.to_string())
    });
    assert_eq!(answers, ("slow", String::from("the task panicked: failed there")));
    there
        .call_soon(|| {
            // Main is the oldest.
            all_tasks()[0].cancel();
        })
        .unwrap();
    server.join().unwrap();
}

#[test]
fn two_loops_can_ask_each_other_in_circles() {
    let (to_first, from_second) = mpsc::channel::<LoopProxy>();
    let (to_second, from_first) = mpsc::channel::<LoopProxy>();
    let (ended, has_ended) = mpsc::channel();
    let second = thread::spawn(move || {
        run(async move {
            to_first.send(proxy()).unwrap();
            let first = from_first.recv().unwrap();
            let mut n = 0_u32;
            while n < 200 {
                n = first.create_task(move || async move { n + 1 }).await.unwrap();
            }
            // Until the other one is done with us.
            to_thread(move || has_ended.recv().unwrap()).await;
            n
        })
    });
    let n = run(async move {
        let other = from_second.recv().unwrap();
        to_second.send(proxy()).unwrap();
        let mut n = 0_u32;
        while n < 200 {
            n = other.create_task(move || async move { n + 1 }).await.unwrap();
        }
        ended.send(()).unwrap();
        to_thread(move || second.join().unwrap()).await + n
    });
    assert_eq!(n, 400);
}

#[evloop::test(clock = "real")]
async fn a_remote_task_can_be_awaited_on_its_own_loop() {
    let remote = proxy().create_task(|| async { 5 });
    assert_eq!(remote.await.unwrap(), 5);
}

#[evloop::test(clock = "real")]
async fn a_remote_task_that_changes_hands_wakes_the_last_one() {
    let (set, promise) = mpsc::channel();
    let mut remote = proxy().create_task(move || {
        let promise = evloop::Promise::new();
        let setter = promise.clone();
        set.send(()).unwrap();
        let _ = evloop::call_later(millis(2), move || setter.set_result(9).unwrap());
        promise
    });
    assert!(futures::poll!(&mut remote).is_pending());
    let other = create_task(remote);
    assert_eq!(other.await.unwrap().unwrap().unwrap(), 9);
    promise.recv().unwrap();
}

#[evloop::test(clock = "real")]
async fn join_on_the_loops_own_thread_panics_with_the_remedy() {
    let proxy = proxy();
    let remote = proxy.create_task(|| async { 5 });
    assert!(panic_of(|| remote.join()).contains("await the RemoteTask instead"));
    yields(3).await;
}

#[evloop::test(clock = "real")]
async fn a_remote_task_is_ready_once() {
    let mut remote = proxy().create_task(|| async { 5 });
    while !remote.done() {
        yield_now().await;
    }
    assert_eq!((&mut remote).await.unwrap(), 5);
    assert!(remote.done());
    let text = panic_of(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        crate::support::poll_once(&mut remote, &mut cx)
    });
    assert!(text.contains("polled after it was ready"), "{text}");
}

/// How a task on a loop that ends before it does, ends for the other thread.
fn end_of_loop(before: impl FnOnce(&mut EventLoop, RemoteTask<()>) -> RemoteTask<()>) -> String {
    let mut event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    let remote = proxy.create_task(std::future::pending::<()>);
    let remote = before(&mut event_loop, remote);
    assert!(!remote.done());
    let (joining, is_joining) = mpsc::channel();
    let thread = thread::spawn(move || {
        joining.send(()).unwrap();
        remote.join().unwrap_err().to_string()
    });
    is_joining.recv().unwrap();
    pause(millis(1));
    drop(event_loop);
    thread.join().unwrap()
}

#[test]
fn a_loop_that_ends_first_ends_its_remote_tasks_as_cancelled() {
    let closed = "the task was cancelled: the event loop is closed";
    assert_eq!(end_of_loop(|_, remote| remote), closed, "still in the box");
    let begun = end_of_loop(|event_loop, remote| {
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        remote
    });
    assert_eq!(begun, closed, "begun");
}

#[test]
fn a_loop_that_is_gone_refuses_everything() {
    let event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    drop(event_loop);
    let (sender, dropped) = mpsc::channel();
    let guard = crate::support::OnDrop::new(move || sender.send("dropped").unwrap());
    assert_eq!(proxy.call_soon(move || drop(guard)), Err(LoopClosed));
    assert_eq!(dropped.try_recv(), Ok("dropped"), "at once");
    assert_eq!(proxy.clone().stop(), Err(LoopClosed));
    let remote = proxy.create_task(|| async { unreachable!("closed") as u8 });
    assert!(remote.done());
    remote.cancel();
    let ended = run(remote);
    assert_eq!(ended.unwrap_err().to_string(), "the task was cancelled: the event loop is closed");
}

#[test]
fn a_remote_task_whose_loop_ends_with_its_run_is_cancelled_and_cleans_up() {
    let (sender, receiver) = mpsc::channel();
    let (cleaned, is_clean) = mpsc::channel();
    let thread = thread::spawn(move || {
        run(async {
            let (started, has_started) = mpsc::channel();
            let remote = proxy().create_task(move || async move {
                started.send(()).unwrap();
                let cancellation = catch_cancel(std::future::pending::<()>()).await.unwrap_err();
                yield_now().await;
                cleaned.send("clean").unwrap();
                cancellation.rethrow::<()>().await;
            });
            sender.send(remote).unwrap();
            while has_started.try_recv().is_err() {
                yield_now().await;
            }
        })
    });
    assert!(receiver.recv().unwrap().join().unwrap_err().is_cancelled());
    assert_eq!(is_clean.recv(), Ok("clean"));
    thread.join().unwrap();
}

#[test]
fn another_thread_can_stop_the_loop() {
    let mut event_loop = EventLoop::new().unwrap();
    let proxy = event_loop.handle().proxy();
    let thread = thread::spawn(move || {
        pause(millis(2));
        proxy.stop().unwrap();
    });
    event_loop.run_forever().unwrap();
    thread.join().unwrap();
    let proxy = event_loop.handle().proxy();
    let thread = thread::spawn(move || proxy.stop().unwrap());
    let stopped = event_loop.run_until_complete(std::future::pending::<()>());
    assert!(matches!(stopped, Err(RunError::Stopped)));
    thread.join().unwrap();
}

#[test]
fn a_failing_constructor_is_heard_of_on_both_sides() {
    let mut event_loop = EventLoop::new().unwrap();
    let reports = reports_of(&event_loop.handle());
    let proxy = event_loop.handle().proxy();
    let remote = proxy.create_task(|| -> std::future::Ready<()> { std::panic::panic_any(42_i32) });
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    let payload = match remote.join() {
        Err(TaskError::Panicked(panic)) => panic.into_payload(),
        other => panic!("{other:?}"),
    };
    assert_eq!(*payload.downcast::<i32>().unwrap(), 42, "the thread gets the payload itself");
    assert_eq!(reports.take(), ["a panic whose payload is not a text"]);
}

#[test]
fn join_from_the_loops_thread_is_possible_when_it_does_not_run() {
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.handle().proxy().create_task(|| async { 5 });
    while !remote.done() {
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(remote.join().unwrap(), 5);
}

#[evloop::test(clock = "real")]
async fn an_output_that_nobody_takes_is_dropped_with_the_remote_task() {
    let (sender, dropped) = mpsc::channel();
    let remote = proxy().create_task(move || async move {
        crate::support::OnDrop::new(move || sender.send("dropped").unwrap())
    });
    while !remote.done() {
        yield_now().await;
    }
    assert!(dropped.try_recv().is_err());
    to_thread(move || drop(remote)).await;
    assert_eq!(dropped.try_recv(), Ok("dropped"));
}

#[test]
fn a_proxy_does_not_keep_a_run_going() {
    let proxy = run(async { proxy() });
    assert_eq!(proxy.call_soon(|| ()), Err(LoopClosed));
    assert!(format!("{proxy:?}").starts_with("LoopProxy { id: "));
}
