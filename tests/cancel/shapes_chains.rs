//! Tasks that wait for each other and are all asked to end at one moment, as at the end of a run: each is asked once,
//! in whatever order they have their steps.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use evloop::channel::oneshot;
use evloop::testing::settle;
use evloop::time::secs;
use evloop::{
    Clock, Event, EventLoop, Runner, Task, TaskGroup, all_tasks, catch_cancel, create_task, current_task,
    finally, gather, sleep, wait_for, yield_now,
};
use futures::future::{pending, select};

use crate::support::{Boxed, Trace, child, counted, nodes, stubborn};

/// Creation order, and some others.
fn seeds() -> impl Iterator<Item = Option<u64>> {
    std::iter::once(None).chain((0..20).map(Some))
}

fn loop_of(seed: Option<u64>) -> evloop::Builder {
    EventLoop::builder().clock(Clock::Virtual).detect_stuck(true).shuffle(seed)
}

fn in_every_order<F: Future<Output = ()>>(test: impl Fn(Option<u64>) -> F) {
    for seed in seeds() {
        loop_of(seed).build().unwrap().run_until_complete(test(seed)).unwrap();
    }
}

/// Somebody who waits for a task that was there before.
fn awaiter(child: Task<()>) -> Boxed<()> {
    Box::pin(async move { drop(child.await) })
}

/// The ways to wait for a child that is older than who waits.
const WAITS: [fn(Task<()>) -> Boxed<()>; 3] = [
    awaiter,
    |child| Box::pin(async move { drop(gather((child,)).await) }),
    |child| Box::pin(async move { drop(wait_for(child.join(), secs(100)).await) }),
];

/// CPython: in both orders of the calls `cleanup whole`, and the child was asked twice.
#[test]
fn a_child_and_who_waits_for_it_asked_at_one_moment_are_asked_once() {
    for wait in WAITS {
        for child_first in [false, true] {
            in_every_order(async |seed| {
                let trace = Trace::new();
                let child = child(&trace, "child", 3);
                let known = child.task_ref();
                let parent = create_task(wait(child));
                let parent_ref = parent.task_ref();
                sleep(secs(1)).await;
                let asked = if child_first { [&known, &parent_ref] } else { [&parent_ref, &known] };
                assert!(asked.iter().all(|task| task.cancel()));
                assert_eq!(trace.outcome(parent).await, "Cancelled@4", "{seed:?}, {child_first}");
                assert_eq!(trace.take(), ["child@4"], "{seed:?}, {child_first}");
                assert_eq!((known.cancelling(), parent_ref.cancelling()), (2, 1));
                assert_eq!(nodes(), 0);
            });
        }
    }
}

/// A group asks its children anew: in creation order, asyncio's, before they have heard.
#[test]
fn the_children_of_a_group_are_asked_once_when_all_are() {
    let test = async {
        let trace = Trace::new();
        let t = trace.clone();
        let group = create_task(TaskGroup::scope(async move |tg| {
            for name in ["one", "two"] {
                let t = t.clone();
                let body = finally(pending::<()>(), async move { t.cleanup(name, 3).await });
                let _ = tg.create_task(body);
            }
        }));
        sleep(secs(1)).await;
        let me = current_task().unwrap();
        all_tasks().iter().filter(|task| **task != me).for_each(|task| assert!(task.cancel()));
        assert_eq!(trace.outcome(group).await, "Cancelled@4");
        assert_eq!(trace.take(), ["one@4", "two@4"]);
    };
    loop_of(None).build().unwrap().run_until_complete(test).unwrap();
}

/// CPython: `cleanup whole` at the end of `asyncio.run`, too.
#[test]
fn at_the_end_of_a_run_each_cleanup_is_whole() {
    for seed in seeds() {
        let mut runner = Runner::builder().event_loop(loop_of(seed)).build().unwrap();
        let trace = runner
            .run(async {
                let trace = Trace::new();
                let mut awaited = child(&trace, "child", 3);
                for _ in 0..3 {
                    awaited = create_task(awaiter(awaited));
                }
                awaited.detach();
                sleep(secs(1)).await;
                trace
            })
            .unwrap();
        runner.close().unwrap();
        assert_eq!(trace.take(), ["child@4"], "{seed:?}");
    }
}

/// CPython: `cleanup cut`.
#[test]
fn who_is_asked_again_after_it_has_heard_leaves_its_cleanup() {
    in_every_order(async |seed| {
        let trace = Trace::new();
        let child = child(&trace, "child", 3);
        let known = child.task_ref();
        let parent = create_task(awaiter(child));
        sleep(secs(1)).await;
        known.cancel();
        sleep(secs(1)).await;
        parent.cancel();
        assert_eq!(trace.outcome(parent).await, "Cancelled@2", "{seed:?}");
        assert_eq!(trace.take(), ["child cut@2"], "{seed:?}");
    });
}

#[test]
fn a_child_that_swallows_what_all_were_asked_gives_its_value_to_who_waits() {
    in_every_order(async |seed| {
        let trace = Trace::new();
        let child = stubborn(3);
        let known = child.task_ref();
        let parent = create_task(async move { child.await.unwrap() });
        sleep(secs(1)).await;
        known.cancel();
        parent.cancel();
        assert_eq!(trace.outcome(parent).await, "\"swallowed\"@4", "{seed:?}");
    });
}

/// CPython: both give a value at 1.
#[test]
fn a_child_that_swallows_and_returns_at_once_has_swallowed_for_who_waits() {
    in_every_order(async |seed| {
        let trace = Trace::new();
        let child = create_task(async {
            catch_cancel(pending::<()>()).await.unwrap_err().swallow();
            "swallowed"
        });
        let known = child.task_ref();
        let parent = create_task(async move { child.await.unwrap() });
        sleep(secs(1)).await;
        known.cancel();
        parent.cancel();
        assert_eq!(trace.outcome(parent).await, "\"swallowed\"@1", "{seed:?}");
    });
}

/// A task that has swallowed one request.
fn swallows_once() -> Task<()> {
    create_task(async {
        catch_cancel(pending::<()>()).await.unwrap_err().swallow();
        sleep(secs(1)).await;
    })
}

/// One that is on its way along a chain, and one that comes before it arrives. CPython: all are cancelled at 1.
#[test]
fn two_requests_of_different_moments_are_two() {
    let test = async {
        let trace = Trace::new();
        let child = swallows_once();
        let known = child.task_ref();
        let head = (0..3).fold(child, |awaited, _| create_task(async move { awaited.await.unwrap() }));
        sleep(secs(1)).await;
        head.cancel();
        yield_now().await;
        known.cancel();
        assert_eq!(trace.outcome(head).await, "Cancelled@1");
    };
    loop_of(None).build().unwrap().run_until_complete(test).unwrap();
}

/// The group asks its child, and so does somebody at that moment: it passes on two. CPython: cancelled at 1.
#[test]
fn a_group_that_asks_anew_is_passed_on_anew() {
    let test = async {
        let trace = Trace::new();
        let awaited = swallows_once();
        let (tell, told) = oneshot::channel();
        let group = create_task(TaskGroup::scope(async move |tg| {
            let child = tg.create_task(async move { awaited.await.unwrap() }).unwrap();
            tell.send(child.task_ref()).unwrap();
        }));
        let child = told.await.unwrap();
        sleep(secs(1)).await;
        child.cancel();
        group.cancel();
        assert_eq!(trace.outcome(group).await, "Cancelled@1");
    };
    loop_of(None).build().unwrap().run_until_complete(test).unwrap();
}

/// Nor was it waited for when that request was made, so it is news to the child, which has swallowed one since then.
#[test]
fn a_request_is_passed_on_by_who_begins_to_wait_after_it() {
    in_every_order(async |seed| {
        let trace = Trace::new();
        let mut child = stubborn(100);
        let known = child.task_ref();
        let begins = Rc::new(Event::new());
        let parent = create_task({
            let begins = begins.clone();
            async move {
                // It could take the request, and is not polled any more.
                let parked = pin!(catch_cancel(pending::<()>()));
                drop(select(pin!(begins.wait()), parked).await);
                (&mut child).await.is_err()
            }
        });
        sleep(secs(1)).await;
        begins.set();
        known.cancel();
        parent.cancel();
        assert_eq!(trace.outcome(parent).await, "Cancelled@1", "{seed:?}");
    });
}

/// Between the two an older request has gone the same way.
#[test]
fn a_request_reaches_the_last_of_a_chain_although_it_has_swallowed_one() {
    in_every_order(async |seed| {
        let trace = Trace::new();
        let t = trace.clone();
        let last = create_task(async move {
            for n in 0..2 {
                assert!(catch_cancel(pending::<()>()).await.is_err());
                t.say(&format!("request {n}"));
            }
            sleep(secs(1)).await;
        });
        let middle = create_task(awaiter(last));
        let middle_ref = middle.task_ref();
        let head = create_task(awaiter(middle));
        sleep(secs(1)).await;
        middle_ref.cancel();
        sleep(secs(1)).await;
        middle_ref.cancel();
        head.cancel();
        assert_eq!(trace.outcome(head).await, "()@3", "{seed:?}: swallowed for all of them");
        assert_eq!(trace.take(), ["request 0@1", "request 1@2"], "{seed:?}");
    });
}

/// Loops count their moments each for itself: the one of the child is far ahead.
#[test]
fn a_request_reaches_a_child_in_another_loop_that_has_heard_of_one() {
    let mut loops = [(); 2].map(|()| loop_of(None).build().unwrap());
    let [here, there] = &mut loops;
    let child = there.handle().create_task(async {
        for _ in 0..100 {
            assert!(catch_cancel(async {}).await.is_ok());
        }
        for _ in 0..2 {
            assert!(catch_cancel(pending::<()>()).await.is_err());
        }
    });
    let child_ref = child.task_ref();
    there.run_until_complete(settle()).unwrap();
    child_ref.cancel();
    there.run_until_complete(settle()).unwrap();
    let parent = here.handle().create_task(awaiter(child));
    here.run_until_complete(settle()).unwrap();
    parent.cancel();
    here.run_until_complete(settle()).unwrap();
    assert!(!child_ref.done());
    there.run_until_complete(settle()).unwrap();
    assert!(child_ref.done() && child_ref.cancelling() == 2);
    here.run_until_complete(settle()).unwrap();
    assert!(parent.done() && !parent.cancelled());
}

/// Each is polled for its request and for the end of what it waits for.
#[test]
fn a_chain_that_is_asked_all_at_once_takes_time_in_proportion_to_its_length() {
    const LENGTH: usize = 200;
    for seed in seeds() {
        let polls = Rc::new(Cell::new(0));
        let mut event_loop = loop_of(seed).build().unwrap();
        let made = async {
            let mut last = create_task(counted(&polls, pending::<()>()));
            for _ in 1..LENGTH {
                last = create_task(counted(&polls, awaiter(last)));
            }
            last.detach();
            sleep(secs(1)).await;
        };
        event_loop.run_until_complete(made).unwrap();
        polls.set(0);
        event_loop.cancel_all_tasks().unwrap();
        assert!(polls.get() <= 2 * LENGTH, "{} polls, {seed:?}", polls.get());
    }
}
