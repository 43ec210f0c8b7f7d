//! `BaseTaskTests`: the tests of `wait`.
//!
//! Deviations and what has no counterpart:
//! * `test_wait_errors`: the modes are types, a wrong one does not compile.
//! * `FirstException` is for tasks that return `Result`; `FirstPanic` is for all others.
//! * a task that ends at the very instant of the timeout is in `done` whichever timer was set first.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    AllCompleted, FirstCompleted, FirstException, FirstPanic, Promise, Task, TaskRef, Waited, create_task,
    get_running_loop, now, sleep, wait,
};

use crate::support::{Log, panic_of, poll_once, reports, tick, virtual_loop, yields};

fn sleeper(milliseconds: u64) -> Task<u64> {
    create_task(async move {
        sleep(millis(milliseconds)).await;
        milliseconds
    })
}

async fn failing(delay: Duration) -> Result<u64, &'static str> {
    if !delay.is_zero() {
        sleep(delay).await;
    }
    Err("ValueError")
}

fn ids<M: AsRef<TaskRef>>(members: &[M]) -> Vec<u64> {
    members.iter().map(|member| member.as_ref().id()).collect()
}

#[evloop::test]
async fn test_wait() {
    let start = now();
    let (a, b) = (sleeper(100), sleeper(150));
    let Waited { done, pending } = wait([&b, &a], AllCompleted, None).await;
    assert_eq!(ids(&done), ids(&[&b, &a]), "in the order given");
    assert!(pending.is_empty());
    assert_eq!(now() - start, millis(150));
    // Again, with tasks that are done.
    let iteration = tick();
    let Waited { done, pending } = wait([&b, &a], AllCompleted, None).await;
    assert_eq!((done.len(), pending.len()), (2, 0));
    assert_eq!(done[1].result().unwrap().unwrap(), &100);
    assert_eq!((now() - start, tick() - iteration), (millis(150), 2), "the callbacks, the wake-up");
}

#[evloop::test]
async fn test_wait_duplicate_coroutines() {
    let (a, b) = (sleeper(1), sleeper(2));
    let Waited { done, pending } = wait([&b, &a, &b, &b, &a], AllCompleted, None).await;
    assert_eq!(ids(&done), ids(&[&b, &a]));
    assert!(pending.is_empty());
}

#[evloop::test]
async fn test_wait_errors() {
    let none: [TaskRef; 0] = [];
    let said = panic_of(|| drop(wait(none, FirstCompleted, None)));
    assert!(said.contains("wait() was given no tasks"), "{said}");
}

#[evloop::test]
async fn test_wait_first_completed() {
    let start = now();
    let (a, b) = (sleeper(10_000), sleeper(100));
    let Waited { done, pending } = wait([&b, &a], FirstCompleted, None).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&[&b]), ids(&[&a])));
    assert!(!a.done());
    assert_eq!(now() - start, millis(100));
    assert_eq!(a.await.unwrap(), 10_000, "it runs on");
}

#[evloop::test]
async fn test_wait_really_done() {
    // b ends between a's end and the step in which the waiting goes on.
    let (a, b) = (create_task(yields(1)), create_task(yields(2)));
    let Waited { done, pending } = wait([&b, &a], FirstCompleted, None).await;
    assert_eq!(ids(&done), ids(&[&b, &a]));
    assert!(pending.is_empty());
}

#[evloop::test]
async fn test_wait_first_exception() {
    let start = now();
    let a = create_task(async {
        sleep(secs(10)).await;
        Ok(1)
    });
    let b = create_task(failing(Duration::ZERO));
    let Waited { done, pending } = wait([&b, &a], FirstException, None).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&[&b]), ids(&[&a])));
    assert_eq!(now(), start);
    assert!(!a.done() && a.cancelling() == 0);
}

#[evloop::test]
async fn test_wait_first_exception_in_wait() {
    let start = now();
    let a = create_task(async {
        sleep(secs(10)).await;
        Ok(1)
    });
    let b = create_task(failing(millis(10)));
    let Waited { done, pending } = wait([&b, &a], FirstException, None).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&[&b]), ids(&[&a])));
    assert_eq!(now() - start, millis(10));
}

#[evloop::test]
async fn test_wait_with_exception() {
    let start = now();
    let a = create_task(async {
        sleep(millis(100)).await;
        Ok(1)
    });
    let b = create_task(failing(millis(150)));
    for _ in 0..2 {
        let Waited { done, pending } = wait([&b, &a], AllCompleted, None).await;
        assert_eq!((done.len(), pending.len()), (2, 0));
        let errors = done.iter().filter(|task| task.result().unwrap().unwrap().is_err()).count();
        assert_eq!(errors, 1);
        assert_eq!(now() - start, millis(150));
    }
}

#[evloop::test]
async fn test_wait_with_timeout() {
    let start = now();
    let (a, b) = (sleeper(100), sleeper(150));
    let Waited { done, pending } = wait([&b, &a], AllCompleted, millis(110)).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&[&a]), ids(&[&b])));
    assert_eq!(now() - start, millis(110));
    assert_eq!(b.cancelling(), 0);
    assert_eq!(b.await.unwrap(), 150, "nothing was cancelled");
}

#[evloop::test]
async fn test_wait_concurrent_complete() {
    let start = now();
    let (a, b) = (sleeper(100), sleeper(150));
    let Waited { done, pending } = wait([&b, &a], AllCompleted, millis(100)).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&[&a]), ids(&[&b])));
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_wait_with_iterator_of_tasks() {
    let tasks = [sleeper(1), sleeper(2)];
    let Waited { done, pending } = wait(tasks.iter(), AllCompleted, None).await;
    assert_eq!((done.len(), pending.len()), (2, 0));
}

#[evloop::test]
async fn test_wait_generator() {
    let tasks: Vec<_> = (0..100).map(|n| create_task(async move { n })).collect();
    let Waited { done, pending } = wait(tasks.iter().map(|task| task.task_ref()), AllCompleted, None).await;
    assert_eq!((done.len(), pending.len()), (100, 0));
    assert_eq!(ids(&done), ids(&tasks));
}

#[evloop::test]
async fn test_yield_wait_does_not_shield_cancel() {
    let (promise, proof) = (Promise::<()>::new(), Rc::new(Cell::new(0)));
    let member = Rc::new(create_task(promise.clone()));
    let outer = create_task({
        let (member, proof) = (member.clone(), proof.clone());
        async move {
            wait([&*member], AllCompleted, None).await;
            proof.set(proof.get() + 1);
        }
    });
    settle().await;
    outer.cancel();
    let outer_ref = outer.task_ref();
    settle().await;
    assert!(outer_ref.cancelled(), "at once");
    assert!(!member.done() && member.cancelling() == 0);
    promise.set_result(()).unwrap();
    settle().await;
    assert!(member.done() && !member.cancelled());
    assert_eq!(proof.get(), 0);
}

// ---- Beyond CPython's tests ----

#[evloop::test]
async fn members_come_back_as_they_were_given() {
    // By value: to await them, and to wait again for the rest.
    let mut tasks = vec![sleeper(20), sleeper(10), sleeper(30)];
    let mut values = Vec::new();
    while !tasks.is_empty() {
        let Waited { done, pending } = wait(tasks, FirstCompleted, None).await;
        for task in done {
            values.push(task.await.unwrap());
        }
        tasks = pending;
    }
    assert_eq!(values, [10, 20, 30]);
    // By `&mut`: to take the outputs.
    let mut tasks = [sleeper(1), sleeper(2)];
    let Waited { done, .. } = wait(&mut tasks, AllCompleted, None).await;
    let taken: Vec<_> = done.into_iter().map(|task| task.take_result().unwrap().unwrap()).collect();
    assert_eq!(taken, [1, 2]);
    assert!(tasks[0].result().is_none());
    // Of different types: as references without a type.
    let (number, text) = (create_task(async { 1 }), create_task(async { "one" }));
    let refs = [number.task_ref(), text.task_ref()];
    assert_eq!(wait(&refs, AllCompleted, None).await.done.len(), 2);
    assert_eq!(wait(refs.clone(), AllCompleted, None).await.done, refs);
}

#[evloop::test]
async fn first_exception_counts_errors_and_panics_but_no_cancellation() {
    let start = now();
    let after = |n: u64, output: Result<u64, &'static str>| {
        create_task(async move {
            sleep(secs(n)).await;
            output
        })
    };
    let (good, bad, late) = (after(2, Ok(1)), after(3, Err("bad")), after(9, Ok(2)));
    let cancelled = after(9, Ok(3));
    cancelled.cancel();
    let Waited { done, pending } = wait([&good, &bad, &late, &cancelled], FirstException, None).await;
    assert_eq!(ids(&done), ids(&[&good, &bad, &cancelled]));
    assert_eq!(ids(&pending), ids(&[&late]));
    assert_eq!(now() - start, secs(3));

    let panics = create_task(async {
        sleep(secs(1)).await;
        panic!("bad")
    });
    let mut members = [panics, late, cancelled];
    let Waited { done, .. } = wait(&mut members, FirstException, None).await;
    assert_eq!(done.len(), 2);
    assert_eq!(now() - start, secs(4));

    // Without an error it waits for all; what was taken has none.
    let mut members = [after(1, Err("taken")), after(2, Ok(2))];
    sleep(millis(1500)).await;
    assert!(members[0].take_result().unwrap().unwrap().is_err());
    assert_eq!(wait(&members, FirstException, None).await.done.len(), 2);
    assert_eq!(now() - start, secs(6));
    assert_eq!(wait(&mut members, FirstException, millis(1)).await.done.len(), 2);
}

#[evloop::test]
async fn first_panic_takes_tasks_of_any_type() {
    let start = now();
    let slow = sleeper(9000);
    let fails = create_task(failing(secs(1)));
    let lost = sleeper(9000);
    lost.cancel();
    let panics = create_task(async {
        sleep(secs(2)).await;
        panic!("bad");
    });
    let members = [slow.task_ref(), fails.task_ref(), lost.task_ref(), panics.task_ref()];
    let Waited { done, pending } = wait(&members, FirstPanic, None).await;
    assert_eq!((ids(&done), ids(&pending)), (ids(&members[1..]), ids(&members[..1])));
    assert_eq!(now() - start, secs(2));
    // All have ended, none has panicked.
    assert_eq!(wait([&slow, &lost], FirstPanic, None).await.done.len(), 2);
    assert_eq!(now() - start, secs(9));
}

#[evloop::test]
async fn a_panic_that_only_wait_has_heard_of_is_still_reported() {
    let reports = reports();
    let task = create_task(async { panic!("bad") as Result<(), ()> });
    assert_eq!(wait([&task], FirstException, None).await.done.len(), 1);
    assert!(reports.is_empty());
    drop(task);
    assert_eq!(reports.take(), ["bad"]);
}

#[evloop::test(order = "fifo")]
async fn new_tasks_cost_three_ticks_and_a_timeout_of_zero_two() {
    let iteration = tick();
    wait([create_task(async {})], AllCompleted, None).await;
    assert_eq!(tick() - iteration, 3, "the start, the callback, the wake-up");
    let (iteration, start) = (tick(), now());
    let (long, short) = (sleeper(10), create_task(yields(1)));
    let Waited { done, pending } =
        wait([long.task_ref(), short.task_ref()], AllCompleted, Duration::ZERO).await;
    assert_eq!((done.len(), pending.len()), (1, 1), "what has ended by the time it goes on");
    assert_eq!((tick() - iteration, now()), (2, start));
}

#[evloop::test]
async fn a_member_that_ends_at_the_timeout_is_done_whichever_timer_was_first() {
    let start = now();
    // Its sleep begins in its first step, after the wait has set its timer.
    let member = create_task(async { sleep(secs(1)).await });
    let Waited { done, pending } = wait([&member], AllCompleted, secs(1)).await;
    assert_eq!((done.len(), pending.len()), (1, 0));
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn a_timeout_counts_from_the_call_and_the_longest_is_no_timeout() {
    let start = now();
    let task = create_task(std::future::pending::<()>());
    let waiting = wait([&task], AllCompleted, secs(5));
    sleep(secs(3)).await;
    assert_eq!(waiting.await.pending.len(), 1);
    assert_eq!(now() - start, secs(5));
    let other = sleeper(7000);
    assert_eq!(wait([&other], AllCompleted, Duration::MAX).await.done.len(), 1);
    assert_eq!(now() - start, secs(12));
}

#[test]
fn its_timer_is_taken_out_when_tasks_decide_or_when_it_is_dropped() {
    for dropped in [false, true] {
        let mut event_loop = virtual_loop();
        let member = event_loop.handle().create_task(async {
            yields(5).await;
        });
        let waiter = event_loop.handle().create_task(async move {
            wait([member], AllCompleted, secs(100)).await;
        });
        event_loop.run_once(None).unwrap();
        event_loop.run_once(None).unwrap();
        assert!(event_loop.next_deadline().is_some());
        if dropped {
            waiter.cancel();
        }
        for _ in 0..12 {
            event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
        assert!(waiter.done() && waiter.cancelled() == dropped);
        assert_eq!(event_loop.next_deadline(), None);
    }
}

#[evloop::test]
async fn dropped_or_cancelled_at_any_tick_it_leaves_nothing_behind() {
    for cancel_at in 0..6 {
        for by_drop in [false, true] {
            let log = Log::new();
            let members = Rc::new([create_task(yields(2)), create_task(yields(3))]);
            let waiter = create_task({
                let (log, members) = (log.clone(), members.clone());
                async move {
                    let waiting = wait(&*members, AllCompleted, secs(9));
                    if by_drop {
                        // Dropped by other code while the task itself goes on.
                        futures::future::select(waiting, pin!(yields(cancel_at))).await;
                    } else {
                        waiting.await;
                    }
                    log.push("over");
                }
            });
            if !by_drop {
                yields(cancel_at).await;
                waiter.cancel();
            }
            let waiter_ref = waiter.task_ref();
            drop(waiter);
            yields(8).await;
            assert!(waiter_ref.done());
            assert_eq!(log.take().len(), usize::from(!waiter_ref.cancelled()));
            assert!(members.iter().all(|task| task.done() && !task.cancelled() && task.cancelling() == 0));
            assert_eq!(Rc::strong_count(&members), 1);
            assert_eq!(get_running_loop().unwrap().scope_nodes(), 0);
        }
    }
    let start = now();
    sleep(millis(1)).await;
    assert_eq!(now() - start, millis(1), "no timer was left to stop at");
}

#[evloop::test]
async fn dropped_it_wakes_nobody_any_more() {
    let member = create_task(yields(1));
    // The callback is scheduled already when the wait is dropped, and when it is not.
    for ticks in [0, 2] {
        let wakes = std::sync::Arc::new(CountsWakes::default());
        let waker = Waker::from(wakes.clone());
        let mut waiting = wait([&member], AllCompleted, None);
        assert!(poll_once(&mut waiting, &mut Context::from_waker(&waker)).is_pending());
        drop(waiting);
        assert_eq!(std::sync::Arc::strong_count(&wakes), 2, "it holds no waker any more");
        yields(ticks).await;
        assert_eq!(wakes.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}

#[derive(Default)]
struct CountsWakes(std::sync::atomic::AtomicUsize);

impl std::task::Wake for CountsWakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
