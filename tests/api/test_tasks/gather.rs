//! `FutureGatherTests`, `CoroutineGatherTests`, and the gather tests of `BaseTaskTests`.
//!
//! Children that fail are children that were cancelled or panicked; errors are `try_gather`'s.
//!
//! Deviations and what has no counterpart:
//! * `test_constructor_heterogenous_futures`: not an error, tasks of several loops can be gathered.
//! * `test_constructor_homogenous_futures`, `test_constructor_use_running_loop`: futures have no loop before
//!   they become tasks, and a gather has none.
//! * `test_duplicate_coroutines`: a future cannot be passed twice.
//! * `test_exception_marking`: a second child's panic after the gather failed *is* reported.
//! * `test_cancel_gather_2`: a gather has no `cancel()`; one cancels the task that awaits it, and the message
//!   goes to that task.
//! * a cancelled gather waits for all its children.

use std::time::Duration;

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{
    GatherError, Promise, Task, TaskError, create_task, finally, gather, gather_all, now, sleep, try_gather,
    yield_now,
};

use crate::support::{Log, reports, tick, virtual_loop, yields};

/// Tasks that end as their promises do: with a value, or as cancelled if the promise was.
fn children<const N: usize>() -> ([Promise<u8>; N], [Task<u8>; N]) {
    let promises = [(); N].map(|()| Promise::new());
    let tasks = promises.clone().map(|promise| {
        create_task(async move {
            match promise.await {
                Ok(99) => panic!("ninety-nine"),
                Ok(value) => value,
                Err(error) => error.rethrow().await,
            }
        })
    });
    (promises, tasks)
}

#[evloop::test]
async fn test_success() {
    let ([a, b, c], tasks) = children();
    let all = create_task(gather(tasks));
    yield_now().await;
    b.set_result(1).unwrap();
    a.set_result(2).unwrap();
    yields(4).await;
    assert!(!all.done());
    c.set_result(3).unwrap();
    assert_eq!(all.await.unwrap().unwrap(), [2, 1, 3], "in order of the arguments");
}

#[evloop::test]
async fn test_result_exception_success() {
    let ([a, b, c], tasks) = children();
    let all = create_task(gather_all(tasks));
    yield_now().await;
    b.set_result(1).unwrap();
    a.set_result(2).unwrap();
    yields(4).await;
    assert!(!all.done());
    c.set_result(3).unwrap();
    let values: Vec<u8> = all.await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(values, [2, 1, 3]);
}

#[evloop::test]
async fn test_one_exception() {
    let reports = reports();
    let ([a, b, c, d, e], tasks) = children();
    let refs = tasks.each_ref().map(|task| task.task_ref());
    let all = create_task(gather(tasks));
    yield_now().await;
    a.set_result(1).unwrap();
    b.set_result(99).unwrap();
    let failed = all.await.unwrap().unwrap_err();
    assert!(failed.is_panic(), "{failed}");
    assert!(!refs[2].done(), "the others run on");
    // What becomes of them decides nothing any more.
    c.set_result(3).unwrap();
    d.cancel();
    e.set_result(5).unwrap();
    yields(3).await;
    assert!(refs[2].done() && refs[3].cancelled() && refs[4].done());
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn test_exception_marking() {
    let reports = reports();
    let ([a, b], tasks) = children();
    let all = create_task(gather(tasks));
    yield_now().await;
    a.set_result(99).unwrap();
    b.set_result(99).unwrap();
    assert!(all.await.unwrap().unwrap_err().is_panic());
    assert_eq!(reports.take(), ["ninety-nine"], "asyncio drops the second one silently");
}

#[evloop::test]
async fn test_return_exceptions() {
    let ([a, b, c, d], tasks) = children();
    let all = create_task(gather_all(tasks));
    yield_now().await;
    b.set_result(99).unwrap();
    c.cancel();
    yields(3).await;
    assert!(!all.done());
    a.set_result(3).unwrap();
    d.set_result(4).unwrap();
    let [a, b, c, d]: [_; 4] = all.await.unwrap().try_into().unwrap();
    assert_eq!((a.unwrap(), d.unwrap()), (3, 4));
    assert!(b.unwrap_err().is_panic() && c.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn errors_of_children_are_try_gathers() {
    let failed = try_gather((
        async { Ok::<_, &str>(1) },
        async {
            sleep(secs(1)).await;
            Err::<u8, _>("late")
        },
        async { Err::<u8, _>("early") },
    ));
    assert!(matches!(failed.await, Err(GatherError::Failed("early"))));
    let fine = try_gather((async { Ok::<_, &str>(1) }, async { Ok::<_, &str>("two") }));
    assert_eq!(fine.await.unwrap(), (1, "two"));
    let lost = create_task(sleep(secs(1)));
    lost.cancel();
    let lost =
        try_gather((async move { Ok::<_, ()>(lost.await) }, async { panic!("no value") as Result<u8, ()> }));
    assert!(matches!(lost.await, Err(GatherError::Task(TaskError::Panicked(_)))));
}

#[evloop::test]
async fn test_constructor_empty_sequence_use_running_loop() {
    let iteration = tick();
    let none: Vec<Task<u8>> = Vec::new();
    assert_eq!(gather(none).await.unwrap(), [0; 0]);
    let none: [std::future::Ready<u8>; 0] = [];
    assert!(gather_all(none).await.is_empty());
    assert_eq!(tick(), iteration, "nothing to wait for");
}

#[test]
fn test_constructor_heterogenous_futures() {
    let (mut here, mut there) = (virtual_loop(), virtual_loop());
    let promise = Promise::new();
    let near = here.handle().create_task(async { "near" });
    let far = there.handle().create_task(promise.clone());
    let mut all = here.handle().create_task(async move { gather((near, far)).await.unwrap() });
    promise.set_result("far").unwrap();
    for _ in 0..3 {
        here.run_once(Some(Duration::ZERO)).unwrap();
        assert!(!all.done(), "the other loop has not run");
    }
    // The task's step, then the callback that tells of its end.
    there.run_once(Some(Duration::ZERO)).unwrap();
    there.run_once(Some(Duration::ZERO)).unwrap();
    here.run_once(Some(Duration::ZERO)).unwrap();
    let (near, far) = all.take_result().unwrap().unwrap();
    assert_eq!((near, far), ("near", Ok("far")));
}

#[test]
fn test_constructor_homogenous_futures() {
    let mut event_loop = virtual_loop();
    let tasks = [1, 2].map(|n| event_loop.handle().create_task(async move { n }));
    // Outside of the loop: nothing has to be started.
    let all = gather(tasks);
    assert_eq!(event_loop.run_until_complete(all).unwrap().unwrap(), [1, 2]);
}

#[evloop::test]
async fn test_one_cancellation() {
    let ([a, b, c, _d, e], tasks) = children();
    let all = create_task(gather(tasks));
    let all_ref = all.task_ref();
    yield_now().await;
    a.set_result(1).unwrap();
    b.cancel();
    let failed = all.await.unwrap().unwrap_err();
    assert!(failed.is_cancelled());
    assert!(!all_ref.cancelled(), "the child was cancelled, not the gather");
    c.cancel();
    e.set_result(1).unwrap();
    yields(3).await;
}

#[evloop::test]
async fn test_result_exception_one_cancellation() {
    let ([a, b, c], tasks) = children();
    let all = create_task(gather_all(tasks));
    yield_now().await;
    a.set_result(1).unwrap();
    b.cancel();
    yields(2).await;
    c.set_result(99).unwrap();
    let [a, b, c]: [_; 3] = all.await.unwrap().try_into().unwrap();
    assert_eq!(a.unwrap(), 1);
    assert!(b.unwrap_err().is_cancelled() && c.unwrap_err().is_panic());
}

#[evloop::test]
async fn test_constructor_use_running_loop() {
    // Children start at the call, before the gather is awaited.
    let log = Log::new();
    let child = |name: &'static str| {
        let log = log.clone();
        async move { log.push(name) }
    };
    let all = gather((child("a"), child("b")));
    log.push("called");
    settle().await;
    log.push("yielded");
    all.await.unwrap();
    let mut log = log.take();
    log[1..3].sort_unstable();
    assert_eq!(log, ["called", "a", "b", "yielded"]);
}

#[evloop::test]
async fn test_cancellation_broadcast() {
    let ([a, b], tasks) = children();
    let refs = tasks.each_ref().map(|task| task.task_ref());
    let outer = create_task(async move { gather(tasks).await.map(|_| ()) });
    settle().await;
    assert!(outer.cancel());
    let outer_ref = outer.task_ref();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(refs.iter().all(|task| task.cancelled()));
    assert!(!outer_ref.cancel() && !refs[0].cancel());
    assert!(!a.done() && !b.done());
}

#[evloop::test]
async fn a_cancelled_gather_waits_for_the_cleanups_of_all_its_children() {
    let (log, start) = (Log::new(), now());
    let child = |name: &'static str, cleanup: u64| {
        let log = log.clone();
        finally(sleep(secs(100)), async move {
            sleep(secs(cleanup)).await;
            log.push(format!("{name} at {}", (now() - start).as_secs()));
        })
    };
    let all = [gather_task(child("a", 2), child("b", 6)), gather_all_task(child("c", 3), child("d", 5))];
    sleep(secs(1)).await;
    for (task, ended) in all.into_iter().zip([7, 6]) {
        task.cancel();
        let log = log.clone();
        task.add_done_callback(move |task| {
            assert!(task.cancelled());
            log.push(format!("ended at {}, expected {ended}", (now() - start).as_secs()));
        });
        task.detach();
    }
    sleep(secs(20)).await;
    assert_eq!(
        log.take(),
        ["a at 3", "c at 4", "d at 6", "ended at 6, expected 6", "b at 7", "ended at 7, expected 7"]
    );
}

fn gather_task(a: impl Future<Output = ()> + 'static, b: impl Future<Output = ()> + 'static) -> Task<()> {
    let both = gather((a, b));
    create_task(async move { drop(both.await) })
}

fn gather_all_task(a: impl Future<Output = ()> + 'static, b: impl Future<Output = ()> + 'static) -> Task<()> {
    let both = gather_all((a, b));
    create_task(async move { drop(both.await) })
}

#[evloop::test(order = "fifo")]
async fn test_cancel_gather_1() {
    // All children are done, the gatherer has not run yet: too late to cancel them, the results stand.
    let promise = Promise::<u8>::new();
    let child = create_task(promise.clone());
    let child_ref = child.task_ref();
    let all = create_task(gather_all((child,)));
    yields(2).await;
    promise.set_result(1).unwrap();
    yield_now().await;
    assert!(child_ref.done() && !all.done());
    assert!(!child_ref.cancel());
    let (value,) = all.await.unwrap();
    assert_eq!(value.unwrap().unwrap(), 1);
}

#[evloop::test]
async fn test_cancel_gather_2() {
    let all = gather_all([sleep(secs(10)), sleep(secs(10))]);
    let task = create_task(all);
    yield_now().await;
    task.cancel_with("my message");
    match task.await {
        Err(TaskError::Cancelled(error)) => assert_eq!(error.message(), Some("my message")),
        other => panic!("a cancellation, not a list: {other:?}"),
    }
}

#[evloop::test]
async fn dropping_a_gather_asks_its_children_to_end() {
    let tasks = [1, 2].map(|n| create_task(sleep(secs(n))));
    let refs = tasks.each_ref().map(|task| task.task_ref());
    drop(gather(tasks));
    assert!(refs.iter().all(|task| task.cancelling() == 1 && !task.done()));
    settle().await;
    assert!(refs.iter().all(|task| task.cancelled()));
}

#[evloop::test]
async fn tasks_futures_and_iterators_can_be_gathered() {
    let doubled = gather((1..4).map(|n| async move { n * 2 })).await.unwrap();
    assert_eq!(doubled, [2, 4, 6]);
    let mixed = gather((create_task(async { 1 }), async { "two" }, std::future::ready(3.0))).await;
    assert_eq!(mixed.unwrap(), (1, "two", 3.0));
    let (one, (two, three)) =
        gather((async { 1 }, async { gather((async { 2 }, async { 3 })).await.unwrap() })).await.unwrap();
    assert_eq!((one, two, three), (1, 2, 3));
    // The same iteration for all: children that sleep do so at the same time.
    let start = now();
    gather((1..=100).map(|n| sleep(secs(n)))).await.unwrap();
    assert_eq!(now() - start, secs(100));
}
