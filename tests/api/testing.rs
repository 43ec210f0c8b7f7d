//! `evloop::testing`: that `cancel_everywhere` interrupts where it says, and finds what is wrong; that a
//! `Trace` tells the truth.

use std::cell::{Cell, RefCell};
use std::future::pending;

use evloop::testing::{Ended, How, Interruption, Run, Scenario, Trace, cancel_everywhere, settle};
use evloop::time::secs;
use evloop::{
    Promise, TaskError, call_later, call_soon, catch_cancel, create_task, finally, now, on_cancel, sleep,
    yield_now,
};

use crate::support::{panic_of, yields};

fn text<T: std::fmt::Debug>(run: &Run<T>) -> String {
    let ended = match &run.ended {
        Ended::Value(value) => format!("{value:?}"),
        Ended::Cancelled(_) => "Cancelled".into(),
        Ended::Dropped => "Dropped".into(),
    };
    match run.interruption {
        None => format!("undisturbed: {ended}"),
        Some(interruption) => format!("{interruption}: {ended}"),
    }
}

#[test]
fn every_suspension_is_interrupted_in_every_way() {
    let seen = RefCell::new(Vec::new());
    let suspensions = cancel_everywhere(|| {
        let body = async {
            yields(2).await;
            5
        };
        Scenario::new(body).check(async |run| seen.borrow_mut().push(text(&run)))
    });
    assert_eq!(suspensions, 2);
    assert_eq!(
        seen.take(),
        [
            "undisturbed: 5",
            "cancelled before it ran: Cancelled",
            "cancelled at suspension 1: Cancelled",
            "cancelled at suspension 2: Cancelled",
            "cancelled when woken from suspension 1: Cancelled",
            "cancelled when woken from suspension 2: Cancelled",
            "dropped before it ran: Dropped",
            "dropped at suspension 1: Dropped",
            "dropped at suspension 2: Dropped",
            "dropped when woken from suspension 1: Dropped",
            "dropped when woken from suspension 2: Dropped",
        ]
    );
}

#[test]
fn a_future_is_ended_where_it_is_suspended() {
    let seen = RefCell::new(Vec::new());
    cancel_everywhere(|| {
        let trace = Trace::with_times();
        let body = {
            let (first, second) = (trace.watch("1", sleep(secs(1))), trace.watch("2", sleep(secs(2))));
            async move {
                first.await;
                second.await;
            }
        };
        let seen = &seen;
        Scenario::new(body).check(async move |run| {
            let happened = trace.take();
            if run.interruption.is_some_and(|interruption| interruption.suspension == 2) {
                seen.borrow_mut().push((run.interruption.unwrap().how, happened[3..].join(" ")));
            }
        })
    });
    assert_eq!(
        seen.take(),
        [
            (How::Cancel, "1s:2: dropped".to_owned()),
            (How::CancelWoken, "2s:2: dropped".to_owned()),
            (How::Drop, "1s:2: dropped".to_owned()),
            (How::DropWoken, "2s:2: dropped".to_owned()),
        ]
    );
}

#[test]
fn a_cancelled_future_has_cleaned_up_when_it_is_checked() {
    let seen = RefCell::new(Vec::new());
    cancel_everywhere(|| {
        let start = now();
        let body = on_cancel(sleep(secs(1)), async |c| {
            sleep(secs(5)).await;
            c.rethrow().await
        });
        let seen = &seen;
        Scenario::new(body).check(async move |run| {
            if matches!(run.interruption, Some(Interruption { how: How::Cancel, suspension: 1, .. })) {
                seen.borrow_mut().push(text(&run));
                assert_eq!(now() - start, secs(5));
            }
        })
    });
    assert_eq!(seen.take(), ["cancelled at suspension 1: Cancelled"]);
}

#[test]
fn a_scenario_may_do_without_a_check_and_take_a_task() {
    assert_eq!(cancel_everywhere(|| Scenario::new(create_task(yield_now()))), 1);
}

#[test]
fn what_a_value_was_is_known_to_the_check() {
    let values = RefCell::new(Vec::new());
    cancel_everywhere(|| {
        let body = async { catch_cancel(sleep(secs(1))).await.map_err(evloop::Cancellation::swallow) };
        Scenario::new(body).check(async |run| {
            let undisturbed = run.is_undisturbed();
            values.borrow_mut().push((undisturbed, run.value()));
        })
    });
    let (ready, swallowed) = (Some(Ok(())), Some(Err(())));
    assert_eq!(
        values.take(),
        [
            (true, ready),
            (false, None),
            (false, swallowed),
            (false, swallowed),
            (false, None),
            (false, None),
            (false, None)
        ]
    );
}

#[test]
fn what_hangs_only_when_it_is_cancelled_is_found() {
    let found = panic_of(|| {
        cancel_everywhere(|| {
            Scenario::new(async {
                yield_now().await;
                if let Err(cancellation) = catch_cancel(sleep(secs(1))).await {
                    cancellation.swallow();
                    pending::<()>().await;
                }
            })
        })
    });
    let [what, who @ ..] = &*found.lines().collect::<Vec<_>>() else { panic!("{found}") };
    assert_eq!(*what, "when the future was cancelled at suspension 2 of 2: it hangs; the tasks are");
    assert_eq!(who.len(), 2);
    assert!(who[1].starts_with("  the future under test created at tests/api/testing.rs:"), "{found}");
}

#[test]
fn what_hangs_while_others_go_on_is_found() {
    let found = panic_of(|| {
        cancel_everywhere(|| {
            let _ = create_task(async {
                loop {
                    sleep(secs(1)).await;
                }
            });
            Scenario::new(sleep(secs(1))).check(async |run| {
                if run.ended == Ended::Dropped {
                    pending::<()>().await;
                }
            })
        })
    });
    assert!(found.starts_with("when the future was dropped before it ran of 1: it hangs;"), "{found}");
}

#[test]
fn a_task_that_does_not_end_when_cancelled_is_found() {
    let found = panic_of(|| {
        cancel_everywhere(|| {
            let stubborn = async {
                loop {
                    drop(catch_cancel(pending::<()>()).await);
                }
            };
            Scenario::new(yield_now()).check(async move |run| {
                if !run.is_undisturbed() {
                    drop(create_task(stubborn));
                    yield_now().await;
                }
            })
        })
    });
    let begins = "when the future was cancelled before it ran of 1: the tasks that were left do not end when they are \
                  cancelled; it hangs";
    assert!(found.starts_with(begins), "{found}");
}

#[test]
fn a_panic_says_where_it_was() {
    let of_the_future = panic_of(|| {
        cancel_everywhere(|| {
            Scenario::new(async {
                if catch_cancel(yield_now()).await.is_err() {
                    panic!("in the future");
                }
            })
        })
    });
    assert_eq!(of_the_future, "when the future was cancelled at suspension 1 of 1: in the future");

    let of_the_check = panic_of(|| {
        cancel_everywhere(|| {
            Scenario::new(yields(3)).check(async |run| {
                let how = run.interruption.map(|interruption| interruption.how);
                assert_ne!(how, Some(How::DropWoken), "in the check");
            })
        })
    });
    let begins = "when the future was dropped when woken from suspension 1 of 3: assertion";
    assert!(of_the_check.starts_with(begins) && of_the_check.contains("in the check"), "{of_the_check}");

    let of_a_callback = panic_of(|| {
        cancel_everywhere(|| {
            call_soon(|| panic!("aside"));
            Scenario::new(yield_now())
        })
    });
    let begins = "when nothing was done to the future: a panic that nobody saw: ";
    assert!(of_a_callback.starts_with(begins) && of_a_callback.contains("aside"), "{of_a_callback}");
}

#[test]
fn a_future_that_is_never_suspended_proves_nothing() {
    let found = panic_of(|| cancel_everywhere(|| Scenario::new(async { 5 })));
    assert!(found.starts_with("the future is never suspended"), "{found}");
}

#[test]
fn a_scenario_has_to_be_deterministic() {
    let runs = Cell::new(0);
    let found = panic_of(|| {
        cancel_everywhere(|| {
            runs.set(runs.get() + 1);
            Scenario::new(yields(if runs.get() == 1 { 2 } else { 1 }))
        })
    });
    let expected = "when the future was cancelled at suspension 2 of 2: it did not come so far, but ended after 1; a \
                    scenario has to be deterministic";
    assert_eq!(found, expected);
}

#[test]
fn a_timer_that_a_future_leaves_behind_is_found() {
    let found = panic_of(|| {
        cancel_everywhere(|| {
            let mut leaked = Box::pin(sleep(secs(1)));
            Scenario::new(async move {
                let _ = futures::poll!(&mut leaked);
                std::mem::forget(leaked);
                yield_now().await;
            })
        })
    });
    assert_eq!(
        found,
        "when nothing was done to the future: when all tasks had ended, 0 scopes, 1 timers that wake somebody and 0 \
         waiters of descriptors were left"
    );
}

#[test]
fn timers_that_call_back_may_be_left() {
    cancel_everywhere(|| {
        let promise = Promise::new();
        let setter = promise.clone();
        call_later(secs(1), move || setter.set_result(5).unwrap());
        Scenario::new(promise)
    });
}

#[evloop::test]
async fn each_run_wants_a_loop_of_its_own() {
    let found = panic_of(|| cancel_everywhere(|| Scenario::new(yield_now())));
    assert!(found.contains("a loop runs on this thread already"), "{found}");
}

#[evloop::test]
async fn a_watched_future_tells_its_life() {
    let trace = Trace::new();
    trace.watch("ready", yield_now()).await;
    drop(trace.watch("never polled", yield_now()));
    let say = trace.says("inside");
    let task = create_task(trace.watch("cancelled", finally(pending::<()>(), async { say() })));
    settle().await;
    task.cancel();
    assert!(matches!(task.await, Err(TaskError::Cancelled(_))));
    assert_eq!(
        trace.take(),
        [
            "ready: first poll",
            "ready: ready",
            "never polled: dropped",
            "cancelled: first poll",
            "inside",
            "cancelled: dropped"
        ]
    );
    assert!(trace.is_empty());
}

#[evloop::test(order = "fifo")]
async fn events_are_stamped_as_asked() {
    yields(3).await;
    let (plain, times, ticks) = (Trace::new(), Trace::with_times(), Trace::with_ticks());
    let say = |event: &str| [&plain, &times, &ticks].map(|trace| trace.say(event));
    say("a");
    yield_now().await;
    sleep(secs(5)).await;
    say("b");
    drop(times.says_when_dropped("gone"));
    call_soon(ticks.says("called"));
    yield_now().await;
    assert_eq!(plain.take(), ["a", "b"]);
    assert_eq!(times.clone().take(), ["0ns:a", "5s:b", "5s:gone"]);
    assert_eq!(ticks.take(), ["1:a", "3:b", "4:called"]);
}
