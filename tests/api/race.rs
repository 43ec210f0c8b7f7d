//! `race`: what can race, who wins, what may be borrowed, what panics. What cancelling does is in
//! `tests/cancel/shapes_races.rs`.

use std::cell::Cell;
use std::future::{Ready, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use evloop::time::secs;
use evloop::{create_task, finally, now, on_cancel, race, sleep, wait_for, yield_now};
use futures::FutureExt;
use futures::future::pending;

use crate::support::{Log, panic_of, reports, text, tick, virtual_loop};

async fn after<T>(n: u64, value: T) -> T {
    sleep(secs(n)).await;
    value
}

#[evloop::test]
async fn the_first_value_wins() {
    let start = now();
    assert_eq!(race((after(3, "slow"), after(1, "quick"), after(2, "middle"))).await, "quick");
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn tuples_arrays_vectors_and_iterators_race() {
    assert_eq!(race((ready(1),)).await, 1);
    assert_eq!(race([after(2, 2), after(1, 1)]).await, 1);
    assert_eq!(race(vec![after(2, 2), after(1, 1)]).await, 1);
    assert_eq!(race((1..9).rev().map(|n| after(n, n))).await, 1);
    assert_eq!(race([create_task(after(2, 2)), create_task(after(1, 1))]).await.unwrap(), 1);
    assert_eq!(race((create_task(after(2, 2)), async { Ok(after(1, 1).await) })).await.unwrap(), 1);
    let never = pending::<u8>;
    let twelve = (
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        never(),
        ready(12),
    );
    assert_eq!(race(twelve).await, 12);
}

#[evloop::test]
async fn of_those_that_are_ready_at_once_the_earliest_argument_wins() {
    assert_eq!(race((ready("first"), ready("second"))).await, "first");
    assert_eq!(race([after(1, "first"), after(1, "second")]).await, "first");
    // The second one's timer fires first; the order of the arguments still decides.
    let second = sleep(secs(1));
    let first = sleep(secs(1));
    let value = race((first.map(|()| "first"), second.map(|()| "second"))).await;
    assert_eq!(value, "first");
}

#[evloop::test]
async fn what_stands_after_a_winner_is_not_polled() {
    let log = Log::new();
    let guard = log.on_drop("dropped");
    let unpolled = async {
        let _guard = guard;
        log.push("polled");
        "second"
    };
    assert_eq!(race((ready("first"), unpolled)).await, "first");
    assert_eq!(log.take(), ["dropped"]);
}

#[evloop::test]
async fn branches_borrow_and_share_the_task() {
    let (log, count) = (Log::new(), Cell::new(0));
    let task = evloop::current_task().unwrap().id();
    let branch = |n: u64| {
        let (log, count) = (&log, &count);
        async move {
            assert_eq!(evloop::current_task().unwrap().id(), task);
            log.push(format!("{n} starts"));
            count.set(count.get() + 1);
            after(n, n).await
        }
    };
    assert_eq!(race((branch(2), branch(1))).await, 1);
    assert_eq!((log.take(), count.get()), (vec!["2 starts".to_string(), "1 starts".into()], 2));
}

#[evloop::test]
async fn a_race_takes_no_tick_of_its_own() {
    let before = tick();
    race((ready(()), pending())).await;
    assert_eq!(tick(), before);
    race((yield_now(), pending::<()>().map(|()| ()).map(drop).fuse())).await;
    assert_eq!(tick(), before + 1);
}

#[evloop::test]
async fn the_winner_is_dropped_before_the_losers_and_all_before_the_value_is_given() {
    let log = Log::new();
    let branch = |n: u64| {
        let guard = log.on_drop(format!("{n} dropped"));
        async move {
            let _guard = guard;
            after(n, n).await
        }
    };
    let value = race([branch(3), branch(1), branch(2)]).await;
    log.push(format!("{value} won"));
    assert_eq!(log.take(), ["1 dropped", "3 dropped", "2 dropped", "1 won"]);
}

#[test]
fn a_race_of_nobody_panics() {
    let message = "a race needs at least one future; nobody can win this one";
    assert_eq!(panic_of(|| drop(race(Vec::<Ready<()>>::new()))), message);
}

#[evloop::test]
async fn a_race_that_was_ready_panics_when_polled_again() {
    let mut contest = Box::pin(race((ready(1), ready(2))));
    assert_eq!((&mut contest).await, 1);
    let again = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*again), "a race was polled after it was ready");
}

#[evloop::test]
async fn a_panic_of_a_branch_waits_for_the_others_and_goes_on() {
    let log = Log::new();
    let start = now();
    let cleans_up = finally(pending::<()>(), async {
        sleep(secs(3)).await;
        log.push("cleaned up");
    });
    let contest = race((cleans_up, after(1, ()).map(|()| panic!("a branch"))));
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "a branch");
    assert_eq!(now() - start, secs(4));
    assert_eq!(log.take(), ["cleaned up"]);
}

#[evloop::test]
async fn a_panic_of_a_loser_beats_the_value_and_a_second_one_is_reported() {
    let log = reports();
    let panics = |n: u64, name: &'static str| {
        on_cancel(pending(), async move |_| {
            sleep(secs(n)).await;
            std::panic::panic_any(name)
        })
    };
    let contest = race((panics(3, "second"), after(1, "won"), panics(2, "first")));
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "first");
    assert_eq!(log.take(), ["second"]);
}

#[derive(Debug)]
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

#[evloop::test]
async fn a_destructor_that_panics_leaves_no_other_loser_alone() {
    let log = Log::new();
    let start = now();
    let bomb = async {
        let _bomb = Bomb("a destructor");
        pending().await
    };
    let cleans_up = finally(pending(), async {
        sleep(secs(3)).await;
        log.push("cleaned up");
    });
    let contest = race((bomb, after(1, ()), cleans_up));
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "a destructor");
    assert_eq!((now() - start, log.take()), (secs(4), vec!["cleaned up".to_string()]));
}

#[evloop::test]
async fn a_loser_whose_value_cannot_be_dropped_counts_as_panicked() {
    let loser = on_cancel(pending(), async |_| Some(Bomb("a value")));
    let contest = race((loser, after(1, None)));
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "a value");
}

#[evloop::test]
async fn a_value_that_cannot_be_dropped_for_a_panic_is_reported() {
    let reports = reports();
    let loser = on_cancel(pending(), async |_| std::panic::resume_unwind(Box::new("the loser")));
    let contest = async { drop(race((loser, after(1, Bomb("the winner's value")))).await) };
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "the loser");
    assert_eq!(reports.take(), ["the winner's value"]);

    /// A winner whose destructor panics, as does that of its value.
    struct Winner(#[expect(dead_code, reason = "it is dropped")] Bomb);
    impl Future for Winner {
        type Output = Bomb;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Bomb> {
            Poll::Ready(Bomb("the winner's value"))
        }
    }
    let start = now();
    let cleans_up = finally(pending(), async { sleep(secs(3)).await });
    let contest = async { drop(race((cleans_up, Winner(Bomb("the winner")))).await) };
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    // The first branch was polled before, so it cleans up.
    assert_eq!((text(&*panic), now() - start), ("the winner", secs(3)));
    assert_eq!(reports.take(), ["the winner's value"]);
}

#[test]
fn a_panic_beats_a_request_that_comes_while_the_others_end() {
    let mut event_loop = virtual_loop();
    let ended = event_loop.run_until_complete(async {
        let panics = async {
            sleep(secs(1)).await;
            std::panic::resume_unwind(Box::new("a branch"))
        };
        let task = create_task(race((finally(pending::<()>(), sleep(secs(9))), panics)));
        sleep(secs(3)).await;
        task.cancel();
        task.await.unwrap_err()
    });
    let evloop::TaskError::Panicked(panic) = ended.unwrap() else { panic!("cancelled") };
    assert_eq!(panic.message(), "a branch");
}

#[test]
fn a_race_outside_of_a_loop_drops_its_losers() {
    let log = Log::new();
    let guard = log.on_drop("dropped");
    let loser = finally(
        async {
            let _guard = guard;
            pending().await
        },
        async { log.push("never: there is no loop that could wait") },
    );
    let mut polls = 0;
    let winner = poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls == 3 { Poll::Ready("won") } else { Poll::Pending }
    });
    assert_eq!(futures::executor::block_on(race((loser, winner))), "won");
    assert_eq!(log.take(), ["dropped"]);
}

#[evloop::test]
async fn the_size_of_a_race_is_that_of_its_branches() {
    let branch = || async {
        let large = [1_u8; 1000];
        yield_now().await;
        large.len()
    };
    let contest = race((branch(), branch()));
    let size = size_of_val(&contest);
    assert!((2000..2400).contains(&size), "{size}");
    assert_eq!(contest.await, 1000);
}

const fn is_send<T: Send>() {}
const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = {
    is_send_and_sync::<evloop::tasks::Select<Ready<u8>>>();
    is_send::<evloop::Staggered<u8, u8>>();
};

#[test]
fn races_are_send_and_sync_when_their_content_is() {
    fn send_and_sync<T: Send + Sync>(value: T) -> T {
        value
    }
    fn send<T: Send>(value: T) -> T {
        value
    }
    drop(send_and_sync(race((ready(1), async { 2 }, pending()))));
    drop(send_and_sync(race([ready(1), ready(2)])));
    drop(send_and_sync(race((wait_for(sleep(secs(1)), secs(2)).map(drop), sleep(secs(1))))));
    drop(send(async { race((finally(after(1, 1), async {}), after(2, 2))).await }));
}

#[evloop::test]
async fn a_race_in_another_tasks_hands_goes_on_there() {
    let log = Rc::new(Log::new());
    let inner = log.clone();
    let loser = finally(pending(), async move {
        sleep(secs(2)).await;
        inner.push("cleaned up");
    });
    let mut contest = Box::pin(race((loser, after(3, "won"))));
    futures::future::select(&mut contest, pin!(sleep(secs(1)))).await;
    assert_eq!(create_task(contest).await.unwrap(), "won");
    assert_eq!(log.take(), ["cleaned up"]);
}
