//! `asyncio.staggered`: attempts that start one after the other. CPython's five tests, with what else must
//! hold; what cancelling does is in `tests/cancel/shapes_races.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::time::{millis, secs};
use evloop::{Staggered, create_task, finally, now, sleep, staggered_race, yield_now};
use futures::FutureExt;
use futures::future::{pending, ready};

use crate::support::{Log, panic_of, text, virtual_loop};

/// An attempt of the given kind, in a list with others.
type Attempt<'a, T> =
    Box<dyn FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<T, &'static str>> + 'a>> + 'a>;

fn attempt<'a, T, F>(f: impl FnOnce() -> F + 'a) -> Attempt<'a, T>
where
    F: Future<Output = Result<T, &'static str>> + 'a,
{
    Box::new(|| Box::pin(f()))
}

async fn after<T>(n: u64, value: T) -> T {
    sleep(secs(n)).await;
    value
}

// ---- CPython's ----

#[evloop::test]
async fn test_empty() {
    let nobody: [Attempt<'_, ()>; 0] = [];
    assert_eq!(staggered_race(nobody, None).await, Staggered { winner: None, errors: vec![] });
}

#[evloop::test]
async fn test_one_successful() {
    let outcome = staggered_race([async |()| Ok::<_, ()>("done")].map(|f| move || f(())), None).await;
    assert_eq!(outcome, Staggered { winner: Some((0, "done")), errors: vec![None] });
}

#[evloop::test]
async fn test_first_error_second_successful() {
    let attempts = [attempt(|| ready(Err("first"))), attempt(|| ready(Ok("done")))];
    let outcome = staggered_race(attempts, None).await;
    assert_eq!(outcome, Staggered { winner: Some((1, "done")), errors: vec![Some("first"), None] });
}

#[evloop::test]
async fn test_first_timeout_second_successful() {
    let start = now();
    let attempts = [attempt(|| after(2, Ok("slow"))), attempt(|| ready(Ok("done")))];
    let outcome = staggered_race(attempts, millis(100)).await;
    assert_eq!(outcome, Staggered { winner: Some((1, "done")), errors: vec![None, None] });
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_none_successful() {
    for delay in [None, Some(secs(0)), Some(millis(100))] {
        let attempts = [attempt::<(), _>(|| ready(Err("first"))), attempt(|| ready(Err("second")))];
        let outcome = staggered_race(attempts, delay).await;
        assert_eq!(outcome, Staggered { winner: None, errors: vec![Some("first"), Some("second")] });
    }
}

// ---- What must hold besides ----

#[evloop::test]
async fn without_a_delay_the_next_one_starts_when_the_one_before_has_failed() {
    let (log, start) = (Log::new(), now());
    let attempts = (1..=3).map(|n| {
        let log = &log;
        async move || {
            log.push(format!("{n} starts at {:?}", now() - start));
            sleep(secs(10 * n)).await;
            if n == 3 { Ok(n) } else { Err(n) }
        }
    });
    let outcome = staggered_race(attempts, None).await;
    assert_eq!(outcome, Staggered { winner: Some((2, 3)), errors: vec![Some(1), Some(2), None] });
    assert_eq!(log.take(), ["1 starts at 0ns", "2 starts at 10s", "3 starts at 30s"]);
    assert_eq!(now() - start, secs(60));
}

#[evloop::test]
async fn a_failure_starts_the_next_one_before_its_delay_and_the_delay_counts_anew() {
    let (log, start) = (Log::new(), now());
    let ends = [(2, "failed"), (100, "slow"), (1, "failed"), (100, "slow"), (2, "won")];
    let attempts = ends.into_iter().enumerate().map(|(n, (time, how))| {
        let log = &log;
        async move || {
            log.push(format!("{n}@{}", (now() - start).as_secs()));
            sleep(secs(time)).await;
            if how == "won" { Ok(()) } else { Err(how) }
        }
    });
    let outcome = staggered_race(attempts, secs(5)).await;
    // 0 fails at 2; 1 has until 7; 2 fails at 8; 3 has until 13.
    assert_eq!(log.take(), ["0@0", "1@2", "2@7", "3@8", "4@13"]);
    assert_eq!(outcome.winner, Some((4, ())));
    assert_eq!(outcome.errors, [Some("failed"), None, Some("failed"), None, None]);
    assert_eq!(now() - start, secs(15));
}

#[evloop::test]
async fn only_the_failure_of_the_latest_starts_the_next_one() {
    let (log, start) = (Log::new(), now());
    let attempts = [7, 100, 100].map(|time| {
        let log = &log;
        async move || {
            log.push(format!("@{}", (now() - start).as_secs()));
            sleep(secs(time)).await;
            Err::<(), _>(time)
        }
    });
    let outcome = staggered_race(attempts, secs(5)).await;
    assert_eq!(log.take(), ["@0", "@5", "@10"], "the first one's failure at 7 starts nobody");
    assert_eq!(outcome, Staggered { winner: None, errors: vec![Some(7), Some(100), Some(100)] });
    assert_eq!(now() - start, secs(110));
}

#[evloop::test]
async fn what_is_not_needed_is_not_started_and_not_even_asked_for() {
    let log = Log::new();
    let attempts = (0..).map(|n| {
        log.push(format!("made {n}"));
        move || ready(if n == 2 { Ok(n) } else { Err(n) })
    });
    assert_eq!(staggered_race(attempts, secs(1)).await.winner, Some((2, 2)));
    assert_eq!(log.take(), ["made 0", "made 1", "made 2"]);
}

#[evloop::test]
async fn attempts_borrow_and_the_earliest_of_two_winners_wins() {
    let started = RefCell::new(Vec::new());
    let attempts = ["a", "b"].map(|name| {
        let started = &started;
        // The second starts at 1; both are done at 3.
        async move || {
            let n = started.borrow().len() as u64;
            started.borrow_mut().push(name);
            after(3 - n, Ok::<_, ()>(name)).await
        }
    });
    let outcome = staggered_race(attempts, secs(1)).await;
    assert_eq!(outcome, Staggered { winner: Some((0, "a")), errors: vec![None, None] });
    assert_eq!(started.into_inner(), ["a", "b"]);
}

#[evloop::test]
async fn the_error_of_a_loser_that_swallows_is_kept() {
    let attempts = [
        attempt(|| async {
            let cancellation = evloop::catch_cancel(pending::<()>()).await.unwrap_err();
            cancellation.swallow();
            Err("late")
        }),
        attempt(|| after(1, Ok(()))),
    ];
    let outcome = staggered_race(attempts, secs(1)).await;
    assert_eq!(outcome, Staggered { winner: Some((1, ())), errors: vec![Some("late"), None] });
}

#[test]
fn the_panic_of_an_attempt_or_of_a_starter_goes_on_after_the_others_have_ended() {
    for in_starter in [true, false] {
        let log = Log::new();
        let panics = panic_of(|| {
            let cleans_up = || {
                evloop::finally(pending::<Result<(), &str>>(), async {
                    sleep(secs(1)).await;
                    log.push("cleaned up");
                })
            };
            let fails = move || {
                assert!(!in_starter, "in the starter");
                async { panic!("in the attempt") }
            };
            let attempts = [attempt(cleans_up), attempt(fails)];
            virtual_loop().run_until_complete(staggered_race(attempts, secs(1))).unwrap();
        });
        assert_eq!(panics, if in_starter { "in the starter" } else { "in the attempt" });
        assert_eq!(log.take(), ["cleaned up"]);
    }
}

#[test]
fn it_is_send_when_its_content_is() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    drop(send(staggered_race([|| ready(Ok::<_, ()>(1))], None)));
    drop(send(staggered_race([async || after(1, Err::<(), _>(1)).await], secs(1))));
}

#[evloop::test]
async fn what_was_not_started_is_dropped_when_it_is_decided() {
    let log = Log::new();
    let attempts: Vec<Attempt<'_, ()>> = vec![attempt(|| after(1, Ok(()))), {
        let unused = Rc::new(log.on_drop("dropped unused"));
        attempt(move || async move {
            drop(unused);
            Ok(())
        })
    }];
    staggered_race(attempts, None).await.winner.unwrap();
    assert_eq!(log.take(), ["dropped unused"]);
}

/// One attempt that cleans up for three seconds; when the list of the attempts is dropped, it panics.
struct Attempts(bool);

impl Iterator for Attempts {
    type Item = Attempt<'static, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let started = std::mem::replace(&mut self.0, true);
        (!started).then(|| attempt(|| finally(pending(), async { sleep(secs(3)).await })))
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        panic!("the list of the attempts");
    }
}

async fn panics_with_its_list(lasts: u64) {
    let start = now();
    let contest = staggered_race(Attempts(false), secs(2));
    let panic = std::panic::AssertUnwindSafe(contest).catch_unwind().await.unwrap_err();
    assert_eq!((text(&*panic), now() - start), ("the list of the attempts", secs(lasts)));
}

#[evloop::test]
async fn a_list_of_attempts_that_cannot_be_dropped_leaves_no_cleanup_alone() {
    // It ends when the second attempt is due.
    panics_with_its_list(2 + 3).await;
    // At a request, which goes on where the panic is caught.
    let task = create_task(async {
        panics_with_its_list(1 + 3).await;
        yield_now().await;
        unreachable!("the request is delivered at this suspension")
    });
    sleep(secs(1)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}
