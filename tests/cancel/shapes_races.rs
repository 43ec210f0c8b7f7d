//! Hand-made shapes around races: losers with cleanup, losers that swallow, requests from outside at every
//! moment, races inside of everything and everything inside of races.
//!
//! Each test asserts the outcome, the exact virtual instant ("Cancelled@6") and the trace of its cleanups.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    catch_cancel, create_task, finally, gather, on_cancel, race, sleep, staggered_race, wait_for, yield_now,
};
use futures::future::{pending, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::support::{Boxed, Trace, after, child, counted, nodes, stubborn, swallows, tidy};

// ---- Losers ----

#[evloop::test]
async fn a_race_waits_for_the_cleanup_of_its_losers() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let value = race((tidy(&t, "a", 3), after(2, "won"), tidy(&t, "b", 5))).await;
        t.say("goes on");
        value
    });
    assert_eq!(outcome.await, "\"won\"@7");
    assert_eq!(trace.take(), ["body dropped@2", "body dropped@2", "a@5", "b@7", "goes on@7"]);
}

#[evloop::test]
async fn a_loser_with_nothing_to_clean_up_is_dropped_at_once_and_not_polled_again() {
    let trace = Trace::new();
    let (t, polls) = (trace.clone(), Rc::new(Cell::new(0)));
    let counting = polls.clone();
    let outcome =
        trace.run(&[], async move { race((after(2, "won"), counted(&counting, t.never("plain")))).await });
    assert_eq!(outcome.await, "\"won\"@2");
    assert_eq!(trace.take(), ["plain dropped@2"]);
    assert_eq!(polls.get(), 1);
}

#[evloop::test]
async fn a_loser_that_swallows_is_waited_for_until_it_ends() {
    let trace = Trace::new();
    assert_eq!(trace.run(&[], race([Box::pin(after(1, "won")), swallows("late", 4)])).await, "\"won\"@5");
}

#[evloop::test]
async fn a_handler_of_a_loser_runs_whole_whether_it_swallows_or_not() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let passes_on = on_cancel(pending(), async |c| {
            t.cleanup("passes on", 2).await;
            c.rethrow().await
        });
        let swallows = on_cancel(pending(), async |_| {
            t.cleanup("swallows", 3).await;
            "late"
        });
        race((passes_on, swallows, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@4");
    assert_eq!(trace.take(), ["passes on@3", "swallows@4"]);
}

#[evloop::test]
async fn a_cleanup_that_runs_in_a_loser_already_is_not_cut() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let loser = async {
            finally(sleep(secs(1)), t.cleanup("first", 5)).await;
            t.say("asked next");
            finally(t.never("second"), t.cleanup("then", 2)).await
        };
        race((loser, after(2, "won"))).await
    });
    // The cleanup began at 1 and goes on; what the loser opens afterwards is asked to end.
    assert_eq!(outcome.await, "\"won\"@8");
    assert_eq!(trace.take(), ["first@6", "asked next@6", "second dropped@6", "then@8"]);
}

#[evloop::test]
async fn a_loser_is_asked_once() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        let loser = async {
            catch_cancel(pending::<()>()).await.unwrap_err().swallow();
            let again = catch_cancel(sleep(secs(3))).await.is_err();
            assert!(!again);
            "late"
        };
        race((after(1, "won"), loser)).await
    });
    assert_eq!(outcome.await, "\"won\"@4");
}

#[evloop::test]
async fn the_task_that_a_loser_awaits_is_cancelled_and_waited_for() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let awaits = async {
            child(&t, "child", 3).await.unwrap();
            "child"
        };
        race((awaits, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@4");
    assert_eq!(trace.take(), ["child@4"]);
}

#[evloop::test]
async fn tasks_themselves_race() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let slow = create_task(async move { finally(after(9, "slow"), t.cleanup("slow", 2)).await });
        let quick = create_task(after(1, "quick"));
        race([slow, quick]).await.unwrap()
    });
    assert_eq!(outcome.await, "\"quick\"@3");
    assert_eq!(trace.take(), ["slow@3"]);
}

#[evloop::test]
async fn a_losing_task_that_swallows_is_waited_for() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async { race([create_task(after(1, "won")), stubborn(3)]).await.unwrap() });
    assert_eq!(outcome.await, "\"won\"@4");
}

#[evloop::test]
async fn a_losing_gather_waits_for_all_its_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let gathers = async {
            gather((child(&t, "a", 2), child(&t, "b", 6))).await.unwrap();
            "children"
        };
        race((after(1, "won"), gathers)).await
    });
    assert_eq!(outcome.await, "\"won\"@7");
    assert_eq!(trace.take(), ["a@3", "b@7"]);
}

#[evloop::test]
async fn all_that_is_in_a_losers_futures_unordered_cleans_up() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let many = async {
            let all: FuturesUnordered<_> = (0..100).map(|n| tidy(&t, "one", 1 + n % 2)).collect();
            all.count().await;
            "many"
        };
        race((many, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@3");
    let lines = trace.take();
    assert_eq!(lines.iter().filter(|line| *line == "one@2").count(), 50);
    assert_eq!(lines.iter().filter(|line| *line == "one@3").count(), 50);
    assert!(lines.iter().all(|line| !line.contains("cut")));
}

#[evloop::test]
async fn a_race_in_a_race_is_asked_as_a_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let inner = race((tidy(&t, "a", 2), tidy(&t, "b", 4)));
        race((inner, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@5");
    assert_eq!(trace.take(), ["body dropped@1", "body dropped@1", "a@3", "b@5"]);
}

#[evloop::test]
async fn an_inner_race_whose_losers_clean_up_may_still_lose_the_outer_one() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let inner = race((tidy(&t, "inner", 5), after(1, "inner won")));
        race((inner, after(3, "outer won"))).await
    });
    // The cleanup of the inner loser runs whole: no race cuts one.
    assert_eq!(outcome.await, "\"outer won\"@6");
    assert_eq!(trace.take(), ["body dropped@1", "inner@6"]);
}

#[evloop::test]
async fn a_parked_scope_in_a_loser_swallows_nothing() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        let loser = async {
            let mut parked = Box::pin(catch_cancel(pending::<()>()));
            select(&mut parked, Box::pin(yield_now())).await;
            pending().await
        };
        race((loser, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@1");
}

// ---- Requests from outside, before there is a winner ----

#[evloop::test]
async fn a_request_goes_into_all_branches_and_on_after_their_cleanups() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move { race((tidy(&t, "a", 2), tidy(&t, "b", 5))).await });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["body dropped@1", "body dropped@1", "a@3", "b@6"]);
}

#[evloop::test]
async fn a_request_ends_a_race_without_scopes_at_once() {
    let trace = Trace::new();
    let polls = Rc::new(Cell::new(0));
    let counting = polls.clone();
    let outcome = trace.run(&[1], async move {
        race((counted(&counting, pending::<()>()), pending())).await;
    });
    assert_eq!(outcome.await, "Cancelled@1");
    assert_eq!(polls.get(), 1);
}

#[evloop::test]
async fn a_request_that_a_branch_swallows_leaves_the_plain_branches_running() {
    let trace = Trace::new();
    let outcome = trace.run(&[1], async { race((swallows("late", 9), after(6, "plain"))).await });
    assert_eq!(outcome.await, "\"plain\"@6", "as in a join");
}

#[evloop::test]
async fn a_branch_that_swallows_the_request_may_win() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move { race((swallows("late", 2), t.never("plain"))).await });
    assert_eq!(outcome.await, "\"late\"@3");
    assert_eq!(trace.take(), ["plain dropped@3"]);
}

#[evloop::test]
async fn a_request_that_one_branch_swallows_and_another_passes_on_goes_on() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move { race((swallows("late", 2), tidy(&t, "a", 4))).await });
    // The swallower wins at 3; the other one's cleanup is not cut, and what it passes on beats the value.
    assert_eq!(outcome.await, "Cancelled@5");
    assert_eq!(trace.take(), ["body dropped@1", "a@5"]);
}

#[evloop::test]
async fn a_plain_winner_during_the_cleanup_for_a_request_does_not_lose_the_request() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move { race((tidy(&t, "a", 4), after(3, "plain"))).await });
    assert_eq!(outcome.await, "Cancelled@5");
    assert_eq!(trace.take(), ["body dropped@1", "a@5"]);
}

#[evloop::test]
async fn what_a_branch_has_opened_since_is_waited_for_when_another_passes_the_request_on() {
    let trace = Trace::new();
    let (t, u) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[1], async move {
        let opens = async {
            sleep(secs(4)).await;
            gather([child(&u, "child", 3)]).await.unwrap();
            "gathered"
        };
        race((tidy(&t, "a", 6), opens)).await
    });
    assert_eq!(outcome.await, "Cancelled@10");
    assert_eq!(trace.take(), ["body dropped@1", "a@7", "child@10"]);
}

#[evloop::test]
async fn a_catch_around_a_race_gets_the_request_after_the_cleanups() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let caught = catch_cancel(race((tidy(&t, "a", 3), pending()))).await.is_err();
        t.say("caught");
        after(2, caught).await
    });
    assert_eq!(outcome.await, "true@6");
    assert_eq!(trace.take(), ["body dropped@1", "a@4", "caught@4"]);
}

#[evloop::test]
async fn a_request_before_the_first_step_starts_no_branch() {
    let trace = Trace::new();
    let polls = Rc::new(Cell::new(0));
    let counting = polls.clone();
    let outcome = trace.run(&[0], async move { race([counted(&counting, pending::<()>())]).await });
    assert_eq!(outcome.await, "Cancelled@0");
    assert_eq!(polls.get(), 0);
}

// ---- Requests from outside while losers clean up, and in the winner's step ----

#[evloop::test]
async fn a_request_while_losers_clean_up_beats_the_value_and_ends_the_cleanup() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move { race((tidy(&t, "a", 5), after(1, "won"))).await });
    // As any second request ends a cleanup.
    assert_eq!(outcome.await, "Cancelled@3");
    assert_eq!(trace.take(), ["body dropped@1", "a cut@3"]);
}

#[evloop::test]
async fn a_request_while_losers_clean_up_waits_for_what_takes_it_in_there() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move {
        let loser = finally(t.never("body"), finally(t.cleanup("outer", 5), t.cleanup("inner", 4)));
        race((loser, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["body dropped@1", "outer cut@3", "inner@7"]);
}

#[evloop::test]
async fn a_request_while_a_swallower_is_waited_for_ends_it() {
    let trace = Trace::new();
    let outcome = trace.run(&[3], async { race((swallows("late", 9), after(1, "won"))).await });
    assert_eq!(outcome.await, "Cancelled@3");
}

#[evloop::test]
async fn a_request_that_a_loser_swallows_in_its_cleanup_is_swallowed() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move {
        let loser = on_cancel(pending(), async |_| {
            catch_cancel(t.cleanup("first", 9)).await.unwrap_err().swallow();
            t.cleanup("second", 2).await;
            "late"
        });
        race((loser, after(1, "won"))).await
    });
    assert_eq!(outcome.await, "\"won\"@5");
    assert_eq!(trace.take(), ["first cut@3", "second@5"]);
}

#[evloop::test(order = "fifo")]
async fn a_request_in_the_step_of_the_winner_wins_after_one_whole_cleanup() {
    let trace = Trace::new();
    for first in [true, false] {
        let (t, start) = (trace.clone(), trace.seconds());
        let at = [start + 2];
        let outcome = trace.run(&at, async move {
            let (loser, winner): (Boxed<_>, Boxed<_>) = (tidy(&t, "a", 3), Box::pin(after(2, "won")));
            if first { race([winner, loser]).await } else { race([loser, winner]).await }
        });
        assert_eq!(outcome.await, format!("Cancelled@{}", start + 5));
        let lines = [format!("body dropped@{}", start + 2), format!("a@{}", start + 5)];
        assert_eq!(trace.take(), lines);
    }
}

#[evloop::test(order = "fifo")]
async fn a_request_in_the_step_of_the_winner_beats_it_where_nothing_cleans_up() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async { race((after(2, "won"), pending())).await });
    assert_eq!(outcome.await, "Cancelled@2");
}

// ---- Deadlines ----

#[evloop::test]
async fn a_deadline_goes_into_all_branches() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        wait_for(race((tidy(&t, "a", 2), tidy(&t, "b", 4))), secs(3)).await.is_err()
    });
    assert_eq!(outcome.await, "true@7");
    assert_eq!(trace.take(), ["body dropped@3", "body dropped@3", "a@5", "b@7"]);
}

#[evloop::test]
async fn a_winner_in_the_instant_of_the_deadline_counts_if_nothing_cleans_up() {
    let trace = Trace::new();
    let plain = trace.run(&[], async { wait_for(race((after(3, "won"), pending())), secs(3)).await });
    assert_eq!(plain.await, "Ok(\"won\")@3");
}

#[evloop::test]
async fn a_winner_in_the_instant_of_the_deadline_loses_if_a_loser_cleans_up_once_and_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome =
        trace.run(&[], async move { wait_for(race((tidy(&t, "a", 4), after(3, "won"))), secs(3)).await });
    assert_eq!(outcome.await, "Err(TimeoutError)@7");
    assert_eq!(trace.take(), ["body dropped@3", "a@7"]);
}

#[evloop::test]
async fn a_deadline_while_losers_clean_up_ends_their_cleanup() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let outcome = wait_for(race((tidy(&t, "a", 9), after(1, "won"))), secs(4)).await;
        after(1, outcome).await
    });
    assert_eq!(outcome.await, "Err(TimeoutError)@5");
    assert_eq!(trace.take(), ["body dropped@1", "a cut@4"]);
}

#[evloop::test]
async fn a_deadline_inside_of_a_branch_is_that_branchs_value() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let limited = async {
            let late = wait_for(pending::<()>(), secs(2)).await.is_err();
            if late { "late" } else { "in time" }
        };
        race((limited, tidy(&t, "a", 1))).await
    });
    assert_eq!(outcome.await, "\"late\"@3");
    assert_eq!(trace.take(), ["body dropped@2", "a@3"]);
}

#[evloop::test]
async fn equal_deadlines_of_branches_let_the_earlier_one_win() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        let branch = |name: &'static str| async move {
            wait_for(pending::<()>(), secs(2)).await.unwrap_err();
            name
        };
        race((branch("first"), branch("second"))).await
    });
    assert_eq!(outcome.await, "\"first\"@2");
}

// ---- Dropped by plain code ----

#[evloop::test]
async fn a_race_dropped_before_and_while_it_is_decided_drops_all() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let contest = race((tidy(&t, "a", 5), after(4, "won")));
        select(Box::pin(contest), pin!(sleep(secs(2)))).await;
        assert_eq!(nodes(), 1, "the root's is left");
        let contest = race((tidy(&t, "b", 5), after(1, "won")));
        select(Box::pin(contest), pin!(sleep(secs(3)))).await;
        assert_eq!(nodes(), 1, "the root's is left");
        sleep(secs(9)).await;
    });
    assert_eq!(outcome.await, "()@14");
    assert_eq!(trace.take(), ["body dropped@2", "body dropped@3", "b cut@5"]);
}

#[evloop::test]
async fn a_request_in_a_race_that_is_dropped_goes_to_whoever_is_around() {
    for winner in [2, 9] {
        let trace = Trace::new();
        let t = trace.clone();
        // At 1 the loser takes the request; with a winner at 2 or without, at 4 the race is dropped.
        let outcome = trace.run(&[1], async move {
            let contest = race((tidy(&t, "a", 8), after(winner, "won")));
            select(Box::pin(contest), pin!(sleep(secs(4)))).await;
            t.say("dropped");
            sleep(secs(3)).await;
        });
        assert_eq!(outcome.await, "Cancelled@4");
        assert_eq!(trace.take(), ["body dropped@1", "a cut@4", "dropped@4"]);
    }
}

#[evloop::test]
async fn the_races_own_request_dies_with_a_race_that_is_dropped() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let contest = race((tidy(&t, "a", 8), after(1, "won")));
        select(Box::pin(contest), pin!(sleep(secs(4)))).await;
        after(3, "goes on").await
    });
    assert_eq!(outcome.await, "\"goes on\"@7");
    assert_eq!(trace.take(), ["body dropped@1", "a cut@4"]);
}

// ---- Staggered ----

#[evloop::test]
async fn the_losers_of_a_staggered_race_are_waited_for() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        type Attempt = Box<dyn FnOnce() -> Boxed<Result<&'static str, ()>>>;
        let attempts: Vec<Attempt> = vec![
            Box::new(move || Box::pin(async move { Ok(tidy(&t, "a", 6).await) })),
            Box::new(|| Box::pin(after(2, Ok("second")))),
        ];
        staggered_race(attempts, secs(1)).await.winner
    });
    assert_eq!(outcome.await, "Some((1, \"second\"))@9");
    assert_eq!(trace.take(), ["body dropped@3", "a@9"]);
}

#[evloop::test(order = "fifo")]
async fn a_request_starts_no_further_attempts_and_waits_for_those_that_run() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let attempts = (0..9).map(|_| {
            let t = t.clone();
            async move || {
                t.say("starts");
                finally(pending::<Result<(), ()>>(), t.cleanup("cleanup", 4)).await
            }
        });
        staggered_race(attempts, secs(1)).await.winner
    });
    assert_eq!(outcome.await, "Cancelled@6");
    // The third one was due in the very step of the request.
    assert_eq!(trace.take(), ["starts@0", "starts@1", "cleanup@6", "cleanup@6"]);
}

#[evloop::test]
async fn a_request_ends_a_staggered_race_without_scopes_at_once() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async move {
        let attempts = [async || pending::<Result<(), ()>>().await; 9];
        staggered_race(attempts, secs(5)).await.winner
    });
    assert_eq!(outcome.await, "Cancelled@2");
}
