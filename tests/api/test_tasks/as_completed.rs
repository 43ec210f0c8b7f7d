//! `BaseTaskTests`: the tests of `as_completed`.
//!
//! Deviations and what has no counterpart:
//! * `test_as_completed_duplicate_coroutines`: a task or future cannot be given twice.
//! * what plain iteration gives (awaitables of values) is `next()` here, which gives tasks.
//! * after the timeout the error comes once (to all calls that wait), then `None`.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use evloop::testing::{self, settle};
use evloop::time::{millis, secs};
use evloop::{
    AsCompleted, AsCompletedTimeout, Promise, Task, TimeoutError, as_completed, create_task,
    get_running_loop, now, sleep, yield_now,
};
use futures::future::{join, select};
use futures::{Stream, StreamExt};

use crate::support::{Log, panic_of, poll_once, reports, tick, virtual_loop, yields};

async fn sleeper(delay: Duration, name: &'static str) -> &'static str {
    sleep(delay).await;
    name
}

async fn value<T>(next: impl Future<Output = Option<Task<T>>>) -> T {
    let task = next.await.expect("there is one more");
    assert!(task.done());
    task.await.unwrap()
}

/// Polls a future once in the running task.
async fn poll_now<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[evloop::test]
async fn test_as_completed() {
    let start = now();
    let (a, b, c) = (sleeper(millis(10), "a"), sleeper(millis(10), "b"), sleeper(millis(150), "c"));
    let completed = as_completed([c, b, a]);
    let mut seen = Vec::new();
    while let Some(task) = completed.next().await {
        seen.push((task.await.unwrap(), now() - start));
    }
    seen[..2].sort_unstable(); // they end at one instant
    assert_eq!(seen, [("a", millis(10)), ("b", millis(10)), ("c", millis(150))]);
    assert!(completed.next().await.is_none(), "and again");
}

#[evloop::test]
async fn test_as_completed_same_tasks_in_as_out() {
    // Tasks: the very same.
    let tasks = [30, 10, 20].map(|n| create_task(sleeper(millis(n), "task")));
    let ids = tasks.each_ref().map(|task| task.id());
    let completed = as_completed(tasks);
    for index in [1, 2, 0] {
        assert_eq!(completed.next().await.unwrap().id(), ids[index]);
    }
    // Futures: new ones.
    let before = create_task(async {}).id();
    let completed = as_completed([sleeper(millis(2), "late"), sleeper(millis(1), "early")]);
    let (early, late) = (completed.next().await.unwrap(), completed.next().await.unwrap());
    assert!(before < late.id() && late.id() < early.id(), "started in order of the arguments");
    assert_eq!((early.await.unwrap(), late.await.unwrap()), ("early", "late"));
}

#[evloop::test]
async fn test_as_completed_with_timeout() {
    let start = now();
    let tasks = [(millis(100), "a"), (millis(150), "b")].map(|(n, name)| create_task(sleeper(n, name)));
    let left = tasks[1].task_ref();
    let completed = as_completed(tasks).timeout(millis(120));
    assert_eq!(completed.next().await.unwrap().unwrap().await.unwrap(), "a");
    assert_eq!(now() - start, millis(100));
    let _error: TimeoutError = completed.next().await.unwrap().unwrap_err();
    assert_eq!(now() - start, millis(120));
    assert!(completed.next().await.is_none() && completed.next().await.is_none(), "the error comes once");
    sleep(millis(30)).await;
    settle().await;
    assert!(left.done() && !left.cancelled(), "nothing was cancelled");
    assert!(completed.next().await.is_none(), "what has ended since is not handed out");
}

#[test]
fn test_as_completed_with_unused_timeout() {
    let mut event_loop = virtual_loop();
    let completed = event_loop.run_until_complete(async {
        let completed = as_completed([sleeper(millis(10), "a")]).timeout(secs(100));
        assert_eq!(completed.next().await.unwrap().unwrap().await.unwrap(), "a");
        completed
    });
    assert_eq!(event_loop.next_deadline(), None, "with the last end");
    drop(completed);
    let completed = event_loop.run_until_complete(async {
        let completed = as_completed([create_task(pending::<()>())]).timeout(secs(100));
        yield_now().await;
        completed
    });
    assert!(event_loop.next_deadline().is_some());
    drop(completed);
    assert_eq!(event_loop.next_deadline(), None, "or when it is dropped");
    // With nothing to wait for there is none.
    let empty =
        event_loop.run_until_complete(async { as_completed::<[Task<()>; 0], _>([]).timeout(secs(1)) });
    assert_eq!(event_loop.next_deadline(), None);
    drop(empty);
}

#[evloop::test]
async fn test_as_completed_resume_iterator() {
    let start = now();
    let completed = as_completed([4, 1, 3, 2].map(|n| async move {
        sleep(secs(n)).await;
        n
    }));
    assert_eq!((value(completed.next()).await, value(completed.next()).await), (1, 2));
    sleep(secs(8)).await;
    let iteration = tick();
    assert_eq!((value(completed.next()).await, value(completed.next()).await), (3, 4));
    assert!(completed.next().await.is_none());
    assert_eq!((tick(), now() - start), (iteration, secs(10)), "no suspension while ended ones are there");
}

#[evloop::test]
async fn test_as_completed_reverse_wait() {
    let start = now();
    let completed = as_completed([sleeper(millis(50), "a"), sleeper(millis(100), "b")]);
    let (first, second) = (completed.next(), completed.next());
    assert_eq!(value(second).await, "a");
    assert_eq!(now() - start, millis(50));
    assert_eq!(value(first).await, "b");
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_as_completed_concurrent() {
    let start = now();
    let completed = as_completed([sleeper(millis(50), "a"), sleeper(millis(100), "b")]);
    let both = join(value(completed.next()), value(completed.next())).await;
    assert_eq!((both, now() - start), (("a", "b"), millis(100)));
}

#[test]
fn test_as_completed_coroutine_without_loop() {
    let said = panic_of(|| drop(as_completed([async {}])));
    assert!(said.contains("no event loop runs on this thread"), "{said}");
}

#[evloop::test]
async fn test_as_completed_coroutine_use_running_loop() {
    let log = Log::new();
    let sink = log.clone();
    let completed = as_completed([async move { sink.push("runs") }]);
    assert!(log.is_empty());
    settle().await;
    assert_eq!(log.take(), ["runs"], "started at the call");
    value(completed.next()).await;
}

// ---- Beyond CPython's tests ----

#[evloop::test(order = "fifo")]
async fn all_that_were_given_by_the_end_of_a_tick_come_in_the_order_of_their_ends() {
    let promises = [(); 4].map(|()| Promise::new());
    let completed = as_completed(promises.clone());
    yield_now().await;
    for index in [2, 0, 3, 1] {
        promises[index].set_result(index).unwrap();
    }
    let iteration = tick();
    for index in [2, 0, 3, 1] {
        assert_eq!(value(completed.next()).await.unwrap(), index);
        assert_eq!(tick(), iteration + 3, "woken, its end heard, we woken");
    }
}

#[evloop::test(order = "fifo")]
async fn tasks_that_are_done_already_come_two_ticks_later() {
    let tasks = [create_task(async { 1 }), create_task(async { 2 })];
    yield_now().await;
    let iteration = tick();
    let completed = as_completed(tasks);
    assert_eq!(value(completed.next()).await, 1);
    assert_eq!(tick(), iteration + 2);
    assert_eq!(value(completed.next()).await, 2);
    assert_eq!(tick(), iteration + 2);
}

#[evloop::test]
async fn an_empty_one_is_over_at_once() {
    let completed = as_completed::<[Task<()>; 0], _>([]);
    let iteration = tick();
    assert!(completed.next().await.is_none());
    let mut completed = completed.timeout(secs(1));
    assert!(completed.next().await.is_none());
    assert_eq!(completed.size_hint(), (0, Some(0)));
    assert!(StreamExt::next(&mut completed).await.is_none());
    assert_eq!(tick(), iteration);
}

#[evloop::test]
async fn who_has_begun_to_wait_first_is_served_first_and_newcomers_take_nothing_of_theirs() {
    let promises = [(); 3].map(|()| Promise::new());
    let completed = as_completed(promises.clone());
    settle().await;
    let (mut a, mut b) = (pin!(completed.next()), pin!(completed.next()));
    assert!(poll_now(a.as_mut()).await.is_pending() && poll_now(b.as_mut()).await.is_pending());
    promises[1].set_result("first").unwrap();
    settle().await;
    promises[0].set_result("second").unwrap();
    settle().await;
    // Both were given theirs. A third call gets neither of the two.
    let mut c = pin!(completed.next());
    assert!(poll_now(c.as_mut()).await.is_pending());
    assert_eq!(value(a).await.unwrap(), "first");
    promises[2].set_result("third").unwrap();
    settle().await;
    assert_eq!(value(c).await.unwrap(), "third");
    assert_eq!(value(b).await.unwrap(), "second");
}

#[evloop::test]
async fn a_call_that_nothing_is_left_for_gets_none_at_once() {
    let completed = as_completed([sleeper(secs(1), "only")]);
    let mut first = pin!(completed.next());
    assert!(poll_now(first.as_mut()).await.is_pending());
    let iteration = tick();
    assert!(completed.next().await.is_none(), "the only one is waited for");
    assert_eq!(tick(), iteration);
    assert_eq!(value(first).await, "only");
}

#[evloop::test]
async fn dropping_a_call_loses_nothing() {
    let completed = as_completed([sleeper(secs(1), "a"), sleeper(secs(2), "b"), sleeper(secs(3), "c")]);
    // Before its first poll, and in line.
    drop(completed.next());
    select(pin!(completed.next()), pin!(yield_now())).await;
    assert_eq!(value(completed.next()).await, "a");
    // Given something, and not come yet: it goes to the next in line.
    let (mut first, mut second) = (Box::pin(completed.next()), pin!(completed.next()));
    assert!(poll_now(first.as_mut()).await.is_pending() && poll_now(second.as_mut()).await.is_pending());
    sleep(millis(1000)).await;
    yields(2).await;
    assert!(poll_now(second.as_mut()).await.is_pending());
    drop(first);
    assert_eq!(poll_now(second.as_mut()).await.map(|task| task.is_some()), Poll::Ready(true));
    // The same with nobody else in line: it is there for the next call.
    let mut third = Box::pin(completed.next());
    assert!(poll_now(third.as_mut()).await.is_pending());
    sleep(secs(1)).await;
    yields(2).await;
    drop(third);
    let iteration = tick();
    assert_eq!(value(completed.next()).await, "c");
    assert_eq!(tick(), iteration);
    assert!(completed.next().await.is_none());
}

#[evloop::test]
async fn cancelled_at_any_tick_a_call_loses_nothing() {
    for cancel_at in 0..6 {
        let completed = Rc::new(as_completed([create_task(yields(1)), create_task(yields(2))]));
        let got = Rc::new(Cell::new(0));
        let waiter = create_task({
            let (completed, got) = (completed.clone(), got.clone());
            async move {
                while completed.next().await.is_some() {
                    got.set(got.get() + 1);
                    yield_now().await;
                }
            }
        });
        yields(cancel_at).await;
        waiter.cancel();
        settle().await;
        assert!(waiter.done());
        while let Some(task) = completed.next().await {
            assert!(!task.cancelled() && task.cancelling() == 0);
            got.set(got.get() + 1);
        }
        assert_eq!(got.get(), 2, "cancelled at {cancel_at}");
        assert_eq!(get_running_loop().unwrap().scope_nodes(), 0);
    }
}

#[evloop::test]
async fn dropping_it_detaches_the_tasks_that_are_left() {
    let (reports, log) = (reports(), Log::new());
    let tasks: Vec<_> = (1..4)
        .map(|n| {
            let (log, output) = (log.clone(), log.on_drop(format!("output {n} dropped")));
            create_task(async move {
                sleep(secs(n)).await;
                log.push(format!("{n} ends"));
                assert!(n < 3, "the third");
                output
            })
        })
        .collect();
    let refs: Vec<_> = tasks.iter().map(|task| task.task_ref()).collect();
    let completed = as_completed(tasks);
    sleep(millis(1500)).await;
    drop(completed);
    assert_eq!(log.take(), ["1 ends", "output 1 dropped"]);
    sleep(secs(2)).await;
    assert_eq!(log.take(), ["2 ends", "output 2 dropped", "3 ends", "output 3 dropped"]);
    assert!(refs.iter().all(|task| task.cancelling() == 0));
    assert_eq!(reports.take(), ["the third"]);
}

#[evloop::test]
async fn when_the_time_is_over_all_calls_that_wait_get_the_error() {
    let start = now();
    let completed = as_completed([1, 7, 8, 9].map(|n| sleep(secs(n)))).timeout(secs(5));
    // One that has ended in time, and is asked for later, comes first.
    let mut first = pin!(completed.next());
    assert!(poll_now(first.as_mut()).await.is_pending());
    let others = join(completed.next(), completed.next()).await;
    assert!(matches!(others, (Some(Err(_)), Some(Err(_)))));
    assert_eq!(now() - start, secs(5));
    assert!(first.await.unwrap().is_ok());
    assert!(completed.next().await.is_none(), "told");

    // Nobody waits when the time is over: the next call is told, after what has ended in time.
    let completed = as_completed([1, 2, 9].map(|n| sleep(secs(n)))).timeout(secs(5));
    sleep(secs(6)).await;
    let mut found = Vec::new();
    for _ in 0..4 {
        found.push(completed.next().await.map(|next| next.is_ok()));
    }
    assert_eq!(found, [Some(true), Some(true), Some(false), None]);

    // Told and dropped before it came: not told.
    let completed = as_completed([sleep(secs(9))]).timeout(secs(5));
    let mut dropped = Box::pin(completed.next());
    assert!(poll_now(dropped.as_mut()).await.is_pending());
    sleep(secs(6)).await;
    drop(dropped);
    assert!(matches!(completed.next().await, Some(Err(_))));
    assert!(completed.next().await.is_none());
}

#[evloop::test]
async fn it_is_a_stream() {
    let mut completed = as_completed([sleeper(secs(2), "b"), sleeper(secs(1), "a"), sleeper(secs(3), "c")]);
    assert_eq!(completed.size_hint(), (3, Some(3)));
    // The stream waits in line, then a call comes: it is not behind a stream that nobody polls.
    select(StreamExt::next(&mut completed), pin!(yield_now())).await;
    assert_eq!(value(completed.next()).await, "a");
    assert_eq!(value(StreamExt::next(&mut completed)).await, "b");
    // The same, when it was given something before.
    select(StreamExt::next(&mut completed), pin!(yield_now())).await;
    sleep(secs(2)).await;
    assert_eq!(value(completed.next()).await, "c");
    assert!(StreamExt::next(&mut completed).await.is_none());

    let mut completed = as_completed([1, 2, 9].map(|n| sleep(secs(n)))).timeout(secs(5));
    let mut hints = vec![completed.size_hint()];
    let mut found = Vec::new();
    while let Some(next) = StreamExt::next(&mut completed).await {
        found.push(next.is_ok());
        hints.push(completed.size_hint());
        if found.len() == 1 {
            sleep(secs(2)).await;
            hints.push(completed.size_hint());
        }
    }
    assert_eq!(found, [true, true, false]);
    let hint = |low, high| (low, Some(high));
    assert_eq!(hints, [hint(1, 3), hint(1, 2), hint(2, 2), hint(1, 1), hint(0, 0)]);
    assert!(StreamExt::next(&mut completed).await.is_none());
}

#[evloop::test]
async fn its_types_say_what_they_are() {
    let completed: AsCompleted<()> = as_completed([create_task(async {})]);
    assert!(format!("{completed:?}").starts_with("AsCompleted { tasks: [Task { name: \"Task-"));
    let completed: AsCompletedTimeout<()> = completed.timeout(secs(1));
    assert!(format!("{completed:?}").starts_with("AsCompletedTimeout { tasks: [Task { name: \"Task-"));
    fn is_stream<S: Stream + Unpin>(_: &S) {}
    is_stream(&completed);
}

/// Any number of callers that come, wait and are dropped at any time: each task is handed out once, in the
/// order of the ends, to those who wait in the order in which they began.
#[evloop::test]
async fn random_callers_get_every_task_once() {
    for seed in 0..200_u64 {
        let cancels = seed % 2 == 0;
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let count = 1 + random(12) as usize;
        let promises: Vec<_> = (0..count).map(|_| Promise::new()).collect();
        let completed = Rc::new(as_completed(promises.clone()));
        // What was got by which caller, in order of their coming.
        let (begun, got) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let mut unset: Vec<_> = (0..count).collect();
        let mut order = Vec::new();
        let mut callers = Vec::new();
        // All have begun, so they end in the order of their promises.
        yield_now().await;
        while !unset.is_empty() {
            match random(4) {
                0 | 1 => callers.push(create_task({
                    let (completed, begun, got) = (completed.clone(), begun.clone(), got.clone());
                    async move {
                        let caller = begun.replace(begun.get() + 1);
                        if let Some(task) = completed.next().await {
                            let index = task.await.unwrap().unwrap();
                            got.borrow_mut().push((caller, index));
                        }
                    }
                })),
                2 if cancels && !callers.is_empty() => {
                    callers.swap_remove(random(callers.len() as u64) as usize).cancel();
                }
                _ => {
                    let index = unset.swap_remove(random(unset.len() as u64) as usize);
                    promises[index].set_result(index).unwrap();
                    order.push(index);
                }
            }
            yields(random(3) as usize).await;
        }
        settle().await;
        while let Some(task) = completed.next().await {
            let index = task.await.unwrap().unwrap();
            got.borrow_mut().push((usize::MAX, index));
        }
        let mut all = got.take();
        all.sort_by_key(|(caller, _)| *caller);
        let mut all: Vec<_> = all.into_iter().map(|(_, index)| index).collect();
        if cancels || testing::seed().is_some() {
            // What was given to a caller who was cancelled comes later than what is behind it; and in another order
            // than asyncio's tasks of one tick end in any.
            all.sort_unstable();
            order.sort_unstable();
        }
        assert_eq!(all, order, "seed {seed}");
    }
}

#[evloop::test]
async fn a_waker_that_panics_keeps_nobody_else_from_his_answer() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let reports = reports();
    let completed = as_completed([sleep(secs(3600)), sleep(secs(3600))]).timeout(secs(1));
    let waker = Waker::from(Arc::new(Panics));
    let mut first = Box::pin(completed.next());
    assert!(poll_once(&mut first, &mut Context::from_waker(&waker)).is_pending());
    assert_eq!(completed.next().await.map(|answer| answer.is_err()), Some(true));
    assert_eq!(reports.take(), ["a waker"]);
}
