//! `BarrierTests`, and what a barrier here does beyond them.

use std::cell::Cell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Barrier, BrokenBarrierError, Task, call_soon, create_task, gather, yield_now};

use super::number;
use crate::support::{Log, panic_of, tick, yields};

type Waited = Result<usize, BrokenBarrierError>;

const N: usize = 5;

/// A task that waits once.
fn waiter(barrier: &Rc<Barrier>) -> Task<Waited> {
    let barrier = barrier.clone();
    create_task(async move { barrier.wait().await })
}

/// So many tasks of one body, to their end.
async fn gather_tasks<T: 'static>(n: usize, body: impl AsyncFn() -> T + 'static) -> Vec<T> {
    let body = Rc::new(body);
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let body = body.clone();
            create_task(async move { body().await })
        })
        .collect();
    gather(tasks).await.unwrap()
}

/// The barrier's state, from its `Debug` text.
fn state(barrier: &Barrier) -> String {
    let text = format!("{barrier:?}");
    let rest = text.strip_prefix("Barrier { state: ").expect("it begins with the state");
    rest.split(',').next().expect("a word").to_owned()
}

/// It fills, and nobody is there.
fn is_as_new(barrier: &Barrier) -> bool {
    (state(barrier).as_str(), barrier.n_waiting(), barrier.broken()) == ("Filling", 0, false)
}

#[evloop::test(order = "fifo")]
async fn test_repr() {
    let barrier = Rc::new(Barrier::new(N));
    assert_eq!(format!("{barrier:?}"), "Barrier { state: Filling, waiters: 0, parties: 5 }");
    let mut waiters: Vec<_> = (0..2).map(|_| waiter(&barrier)).collect();
    yield_now().await;
    assert_eq!(format!("{barrier:?}"), "Barrier { state: Filling, waiters: 2, parties: 5 }");

    let missing = barrier.parties() - barrier.n_waiting();
    waiters.extend((0..missing).map(|_| waiter(&barrier)));
    yield_now().await;
    assert_eq!(state(&barrier), "Draining");

    waiters.extend((0..2).map(|_| waiter(&barrier)));
    yield_now().await;
    barrier.reset();
    assert_eq!(state(&barrier), "Resetting");

    waiters.extend((0..2).map(|_| waiter(&barrier)));
    yield_now().await;
    barrier.abort();
    assert_eq!(format!("{barrier:?}"), "Barrier { state: Broken, waiters: 0, parties: 5 }");
    assert!(barrier.broken());
    let ended: Vec<_> = gather(waiters).await.unwrap();
    assert!(ended[..N].iter().all(|waited| waited.is_ok()));
    assert_eq!(ended[N..], [Err(BrokenBarrierError); 4]);
}

#[test]
fn test_barrier_parties() {
    assert_eq!(panic_of(|| Barrier::new(0)), "a barrier needs at least one party");
    assert_eq!(Barrier::new(N).parties(), N);
}

#[evloop::test]
async fn test_context_manager() {
    let barrier = Rc::new(Barrier::new(3));
    let ours = barrier.clone();
    let mut indices = gather_tasks(3, async move || ours.wait().await.unwrap()).await;
    indices.sort_unstable();
    assert_eq!(indices, [0, 1, 2]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_filling_one_task() {
    let (barrier, iteration) = (Barrier::new(1), tick());
    assert_eq!(barrier.wait().await, Ok(0));
    assert_eq!(tick(), iteration, "the last to arrive does not wait");
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_filling_one_task_twice() {
    let barrier = Rc::new(Barrier::new(1));
    for _ in 0..2 {
        let task = waiter(&barrier);
        settle().await;
        assert!(task.done());
        assert_eq!(task.await.unwrap(), Ok(0));
        assert!(is_as_new(&barrier));
    }
}

#[evloop::test(order = "fifo")]
async fn test_filling_task_by_task() {
    let barrier = Rc::new(Barrier::new(3));
    let mut tasks = Vec::new();
    for arrived in 1..3 {
        tasks.push(waiter(&barrier));
        yield_now().await;
        assert_eq!((state(&barrier).as_str(), barrier.n_waiting()), ("Filling", arrived));
    }
    tasks.push(waiter(&barrier));
    yield_now().await;
    assert_eq!((state(&barrier).as_str(), barrier.n_waiting()), ("Draining", 0));
    assert_eq!(gather(tasks).await.unwrap(), [Ok(0), Ok(1), Ok(2)]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_filling_tasks_wait_twice() {
    let (barrier, log) = (Rc::new(Barrier::new(N)), Log::new());
    let (ours, to) = (barrier.clone(), log.clone());
    gather_tasks(N, async move || {
        ours.wait().await.unwrap();
        to.push("once");
        ours.wait().await.unwrap();
        to.push("twice");
    })
    .await;
    assert_eq!(log.take(), [["once"; N], ["twice"; N]].concat());
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_filling_tasks_check_return_value() {
    let barrier = Rc::new(Barrier::new(N));
    let ours = barrier.clone();
    let mut indices =
        gather_tasks(N, async move || [ours.wait().await.unwrap(), ours.wait().await.unwrap()]).await;
    for round in 0..2 {
        indices.sort_by_key(|both| both[round]);
        assert!(indices.iter().map(|both| both[round]).eq(0..N));
    }
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_draining_state() {
    let barrier = Rc::new(Barrier::new(N));
    let ours = barrier.clone();
    let log = Log::new();
    let to = log.clone();
    gather_tasks(N, async move || {
        ours.wait().await.unwrap();
        to.push(state(&ours));
    })
    .await;
    assert_eq!(log.take(), ["Draining", "Draining", "Draining", "Draining", "Filling"]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_blocking_tasks_while_draining() {
    let again = 2;
    let (barrier, others) = (Rc::new(Barrier::new(N)), Rc::new(Barrier::new(N - again)));
    let log = Log::new();
    let ours = (barrier.clone(), others.clone(), Cell::new(again), log.clone());
    gather_tasks(N, async move || {
        let (barrier, others, again, log) = &ours;
        barrier.wait().await.unwrap();
        if again.get() > 0 {
            again.set(again.get() - 1);
        } else {
            others.wait().await.unwrap();
            log.push("drained");
        }
        barrier.wait().await.unwrap();
        log.push("end");
    })
    .await;
    assert_eq!(log.take(), ["drained", "drained", "drained", "end", "end", "end", "end", "end"]);
    assert!(is_as_new(&barrier) && is_as_new(&others));
}

#[evloop::test]
async fn test_filling_tasks_cancel_one() {
    let barrier = Rc::new(Barrier::new(3));
    let first = waiter(&barrier);
    settle().await;
    assert_eq!(barrier.n_waiting(), 1);
    let second = waiter(&barrier);
    settle().await;
    assert_eq!(barrier.n_waiting(), 2);

    first.cancel();
    settle().await;
    assert_eq!(barrier.n_waiting(), 1);
    assert!(first.await.unwrap_err().is_cancelled());

    let third = waiter(&barrier);
    settle().await;
    assert_eq!(barrier.n_waiting(), 2);
    let fourth = waiter(&barrier);
    // In asyncio the third one would have the second one's index.
    assert_eq!(gather([second, third, fourth]).await.unwrap(), [Ok(1), Ok(0), Ok(2)]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_reset_barrier() {
    let barrier = Rc::new(Barrier::new(1));
    let ours = barrier.clone();
    call_soon(move || ours.reset());
    yield_now().await;
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_reset_barrier_while_tasks_waiting() {
    let barrier = Rc::new(Barrier::new(N));
    let tasks: Vec<_> = (1..N).map(|_| waiter(&barrier)).collect();
    yield_now().await;
    let ours = barrier.clone();
    call_soon(move || {
        ours.reset();
        assert_eq!(state(&ours), "Resetting");
    });
    assert_eq!(gather(tasks).await.unwrap(), [Err(BrokenBarrierError); N - 1]);
    assert!(is_as_new(&barrier));
}

#[evloop::test(order = "fifo")]
async fn test_reset_barrier_when_tasks_half_draining() {
    let barrier = Rc::new(Barrier::new(N));
    let (ours, passed) = (barrier.clone(), Cell::new(0));
    let ended = gather_tasks(N, async move || {
        let waited = ours.wait().await;
        if waited.is_ok() {
            passed.set(passed.get() + 1);
            if passed.get() == N - N / 2 {
                ours.reset();
            }
        }
        waited
    })
    .await;
    assert_eq!(ended, [Ok(0), Ok(1), Err(BrokenBarrierError), Err(BrokenBarrierError), Ok(4)]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_reset_barrier_when_tasks_half_draining_half_blocking() {
    let (barrier, log) = (Rc::new(Barrier::new(N)), Log::new());
    let (ours, to, passed) = (barrier.clone(), log.clone(), Cell::new(0));
    gather_tasks(N, async move || {
        let what = match ours.wait().await {
            Err(BrokenBarrierError) => "failed",
            Ok(_) => {
                passed.set(passed.get() + 1);
                if passed.get() > N / 2 {
                    ours.reset();
                    "reset"
                } else {
                    "blocked"
                }
            }
        };
        to.push(what);
        // Those who were blocked outside have not been disturbed, and all meet.
        ours.wait().await.unwrap();
    })
    .await;
    assert_eq!(log.take(), ["blocked", "blocked", "reset", "failed", "failed"]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_reset_barrier_while_tasks_waiting_and_waiting_again() {
    let barrier = Rc::new(Barrier::new(N));
    let tasks: Vec<_> = (1..N)
        .map(|_| {
            let barrier = barrier.clone();
            create_task(async move { (barrier.wait().await, barrier.wait().await) })
        })
        .collect();
    settle().await;
    let ours = barrier.clone();
    call_soon(move || ours.reset());
    settle().await;
    let last = waiter(&barrier);
    let ended = gather(tasks).await.unwrap();
    assert!(ended.iter().all(|(first, _)| *first == Err(BrokenBarrierError)));
    let mut indices: Vec<_> = ended.into_iter().map(|(_, second)| second.unwrap()).collect();
    indices.push(last.await.unwrap().unwrap());
    indices.sort_unstable();
    assert_eq!(indices, [0, 1, 2, 3, 4]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_reset_barrier_while_tasks_draining() {
    let (barrier, log) = (Rc::new(Barrier::new(N)), Log::new());
    let (ours, to, left) = (barrier.clone(), log.clone(), Cell::new(0));
    gather_tasks(N, async move || {
        ours.wait().await.unwrap();
        left.set(left.get() + 1);
        if left.get() == N {
            ours.reset(); // all have left: it disturbs nobody
            to.push("reset");
        }
        ours.wait().await.unwrap();
        to.push("second");
        ours.wait().await.unwrap();
        to.push("third");
    })
    .await;
    assert_eq!(log.take(), [vec!["reset"], vec!["second"; N], vec!["third"; N]].concat());
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn test_abort_barrier() {
    let barrier = Rc::new(Barrier::new(1));
    let ours = barrier.clone();
    call_soon(move || ours.abort());
    settle().await;
    assert_eq!((barrier.n_waiting(), barrier.broken()), (0, true));
    assert_eq!(barrier.wait().await, Err(BrokenBarrierError));
}

#[evloop::test]
async fn test_abort_barrier_when_tasks_half_draining_half_blocking() {
    let (barrier, log) = (Rc::new(Barrier::new(N)), Log::new());
    let (ours, to, passed) = (barrier.clone(), log.clone(), Cell::new(0));
    gather_tasks(N, async move || match ours.wait().await {
        Err(BrokenBarrierError) => to.push("inside"),
        Ok(_) => {
            passed.set(passed.get() + 1);
            if passed.get() > N / 2 {
                ours.abort();
                to.push("abort");
            } else {
                assert_eq!(ours.wait().await, Err(BrokenBarrierError));
                to.push("outside");
            }
        }
    })
    .await;
    assert_eq!(log.take(), ["abort", "inside", "inside", "outside", "outside"]);
    assert_eq!((barrier.n_waiting(), barrier.broken()), (0, true));
}

#[evloop::test]
async fn test_abort_barrier_when_exception() {
    let barrier = Rc::new(Barrier::new(N));
    let ours = barrier.clone();
    let ended = gather_tasks(N, async move || {
        if ours.wait().await? == N / 2 {
            ours.abort();
            return Ok(N);
        }
        ours.wait().await
    })
    .await;
    let broken = Err(BrokenBarrierError);
    assert_eq!(ended.iter().filter(|waited| **waited == broken).count(), N - 1);
    assert!(ended.contains(&Ok(N)));
    assert_eq!((barrier.n_waiting(), barrier.broken()), (0, true));
}

#[evloop::test]
async fn test_abort_barrier_when_exception_then_resetting() {
    let (barrier, other, log) = (Rc::new(Barrier::new(N)), Rc::new(Barrier::new(N)), Log::new());
    let ours = (barrier.clone(), other.clone(), log.clone());
    gather_tasks(N, async move || {
        let (barrier, other, log) = &ours;
        let waited = match barrier.wait().await {
            Ok(index) if index == N / 2 => {
                barrier.abort();
                Ok(N)
            }
            Ok(_) => barrier.wait().await,
            error => error,
        };
        log.push(if waited.is_ok() { "aborted" } else { "failed" });
        if other.wait().await.unwrap() == N / 2 {
            barrier.reset();
        }
        other.wait().await.unwrap();
        barrier.wait().await.unwrap();
        log.push("met");
    })
    .await;
    let log = log.take();
    assert_eq!(log.iter().filter(|what| *what == "failed").count(), N - 1);
    assert_eq!(log[N..], ["met"; N]);
    assert!(is_as_new(&barrier) && is_as_new(&other));
}

/// In asyncio two who meet again and again keep everybody else out.
#[evloop::test(order = "fifo")]
async fn who_waits_for_the_next_round_is_not_overtaken() {
    let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
    let party = |name: &'static str, rounds: usize| {
        let (barrier, log) = (barrier.clone(), log.clone());
        create_task(async move {
            for _ in 0..rounds {
                barrier.wait().await.unwrap();
                log.push(name);
            }
        })
    };
    let tasks = [party("a", 2), party("b", 2), party("c", 1), party("d", 1)];
    gather(tasks).await.unwrap();
    assert_eq!(log.take(), ["b", "a", "c", "b", "a", "d"], "b and c, who waited outside, before a");
}

#[evloop::test(order = "fifo")]
async fn who_was_called_from_outside_and_leaves_makes_room_for_the_next() {
    let barrier = Rc::new(Barrier::new(2));
    let round = [waiter(&barrier), waiter(&barrier)];
    let [first, second, third] = [(); 3].map(|()| waiter(&barrier));
    yield_now().await;
    assert_eq!(state(&barrier), "Draining");
    call_soon({
        // Behind the one who drains the barrier, before those whom that calls.
        let first = first.clone();
        move || assert!(first.cancel())
    });
    assert_eq!(gather(round).await.unwrap(), [Ok(0), Ok(1)]);
    yields(3).await;
    assert!(first.cancelled());
    assert_eq!(gather([second, third]).await.unwrap(), [Ok(0), Ok(1)]);
    assert!(is_as_new(&barrier));
}

#[evloop::test]
async fn a_woken_party_that_is_cancelled_lets_the_round_end() {
    let barrier = Rc::new(Barrier::new(2));
    let first = waiter(&barrier);
    settle().await;
    assert_eq!(number(&*barrier, "waiters"), 1);
    assert_eq!(barrier.wait().await, Ok(1));
    assert_eq!(state(&barrier), "Draining");
    first.cancel();
    settle().await;
    assert!(first.cancelled());
    assert!(is_as_new(&barrier));
}
