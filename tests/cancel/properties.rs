//! What must hold whatever happens: destructors run once, nothing is left behind by a drop or a request at
//! any await, scopes work where they are moved to, and outside of a task there is no tree.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use evloop::time::secs;
use evloop::{
    Clock, EventLoop, all_tasks, call_soon, catch_cancel, create_task, finally, gather, get_running_loop,
    on_cancel, sleep, wait_for, yield_now,
};
use futures::future::{join, pending, ready, select};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::task::noop_waker;

use crate::support::{Trace, nodes};

// ---- A request or a drop at every await ----

/// Counts who was born and dropped, and cleanups begun and ended.
#[derive(Clone, Default)]
struct Census {
    drops: Rc<RefCell<Vec<u32>>>,
    cleanups: Rc<Cell<(u32, u32)>>,
}

struct Citizen(Census, usize);

impl Census {
    fn citizen(&self) -> Citizen {
        let mut drops = self.drops.borrow_mut();
        drops.push(0);
        Citizen(self.clone(), drops.len() - 1)
    }

    async fn nap(&self, n: u64) {
        let _citizen = self.citizen();
        sleep(secs(n)).await;
    }

    async fn cleanup(&self, n: u64) {
        let _citizen = self.citizen();
        let (begun, ended) = self.cleanups.get();
        self.cleanups.set((begun + 1, ended));
        yield_now().await;
        sleep(secs(n)).await;
        let (begun, ended) = self.cleanups.get();
        self.cleanups.set((begun, ended + 1));
    }

    fn assert_all_dropped_once(&self, what: &str) {
        let drops = self.drops.borrow();
        assert!(drops.iter().all(|&n| n == 1), "{what}: drops per citizen: {drops:?}");
    }
}

impl Drop for Citizen {
    fn drop(&mut self) {
        self.0.drops.borrow_mut()[self.1] += 1;
    }
}

/// Something with every construct in it, nested and side by side. It ends at 6 at the latest.
async fn everything(c: Census) -> u32 {
    let child = |n| {
        let c = c.clone();
        let d = c.clone();
        async move { finally(async move { c.nap(n).await }, async move { d.cleanup(1).await }).await }
    };
    c.nap(1).await;
    let timed = wait_for(finally(c.nap(9), c.cleanup(1)), secs(1)).await.is_err();
    let together = gather((child(1), child(2)));
    let awaited = create_task(child(1));
    let handled = on_cancel(c.nap(2), async |cancelling| {
        c.cleanup(1).await;
        cancelling.rethrow().await
    });
    let caught = catch_cancel(wait_for(c.nap(1), secs(2)));
    let streamed = async {
        let all: FuturesUnordered<_> = (0..4).map(|n| finally(c.nap(n % 3), c.cleanup(1))).collect();
        all.count().await
    };
    let (_, _, (), _, n) =
        futures::join!(together, async { awaited.await.is_ok() }, handled, caught, streamed);
    n as u32 + u32::from(timed)
}

/// Does something to its content after `at` polls.
struct At<F> {
    content: Option<Pin<Box<F>>>,
    polls: usize,
    at: usize,
    count: Rc<Cell<usize>>,
}

impl<F: Future> Future for At<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        self.count.set(self.polls);
        let polled = self.content.as_mut().expect("not dropped yet").as_mut().poll(cx);
        if polled.is_pending() && self.polls == self.at {
            self.content = None;
            return Poll::Ready(None);
        }
        polled.map(Some)
    }
}

/// Runs `everything`, dropped after `at` polls (0: never); returns how many polls there were.
fn dropped_at(at: usize) -> usize {
    let census = Census::default();
    let count = Rc::new(Cell::new(0));
    let content = Some(Box::pin(everything(census.clone())));
    let body = At { content, polls: 0, at, count: count.clone() };
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    event_loop
        .run_until_complete(async {
            let ended = create_task(body).await.unwrap();
            assert_eq!(ended.is_none(), at > 0);
        })
        .unwrap();
    // What was started and detached ends by itself; the children of a dropped gather were asked to.
    event_loop.run_until_complete(async { sleep(secs(20)).await }).unwrap();
    event_loop.run_until_complete(async { assert_eq!(all_tasks().len(), 1, "dropped at {at}") }).unwrap();
    assert_eq!(event_loop.handle().scope_nodes(), 0, "dropped at {at}");
    assert_eq!(event_loop.next_deadline(), None, "dropped at {at}: a timer is left");
    census.assert_all_dropped_once(&format!("dropped at {at}"));
    count.get()
}

#[test]
fn a_drop_at_any_await_leaves_nothing_behind() {
    let polls = dropped_at(0);
    assert!(polls > 10, "{polls} polls are not much of a test");
    for at in 1..polls {
        dropped_at(at);
    }
}

/// Runs `everything`, cancelled in the iteration `at` and, if `again`, every iteration from there on.
/// Returns how many iterations it took.
fn cancelled_at(at: u64, again: bool) -> u64 {
    let census = Census::default();
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    let what = format!("cancelled at {at}, again: {again}");
    let last = event_loop
        .run_until_complete(async {
            let task = create_task(everything(census.clone()));
            let handle = get_running_loop().unwrap();
            let (mut asked, mut running) = (false, 0);
            while !task.done() {
                if handle.iterations() >= at && (again || !asked) {
                    // A request ends the cleanups that run already, those of a deadline.
                    let (begun, ended) = census.cleanups.get();
                    (asked, running) = (true, begun - ended);
                    task.cancel();
                }
                // Virtual time passes only when nothing is ready: now and then.
                match handle.iterations().is_multiple_of(8) {
                    true => sleep(secs(1)).await,
                    false => yield_now().await,
                }
            }
            let ended = task.await;
            assert!(ended.is_err() || !asked, "{what}: nobody in there swallows");
            let (begun, ended) = census.cleanups.get();
            assert!(again || begun - ended <= running, "{what}: {begun} cleanups begun, {ended} ended");
            handle.iterations()
        })
        .unwrap();
    event_loop.run_until_complete(async { sleep(secs(20)).await }).unwrap();
    event_loop.run_until_complete(async { assert_eq!(all_tasks().len(), 1, "{what}") }).unwrap();
    assert_eq!(event_loop.handle().scope_nodes(), 0, "{what}");
    assert_eq!(event_loop.next_deadline(), None, "{what}: a timer is left");
    census.assert_all_dropped_once(&what);
    last
}

#[test]
fn a_request_at_any_iteration_ends_it_with_whole_cleanups() {
    let iterations = cancelled_at(u64::MAX, false);
    assert!(iterations > 20, "{iterations} iterations are not much of a test");
    for at in 1..iterations {
        cancelled_at(at, false);
        cancelled_at(at, true);
    }
}

#[test]
fn a_loop_dropped_at_any_turn_drops_everything_once() {
    for cancel_at in [3, 7, usize::MAX] {
        let mut turns = 0;
        while !ended_after(turns, cancel_at) {
            turns += 1;
        }
        assert!(turns > cancel_at.min(10), "{turns} turns are not much of a test");
    }
}

/// Runs `everything` for so many turns and drops the loop; says whether it had ended.
fn ended_after(turns: usize, cancel_at: usize) -> bool {
    let census = Census::default();
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    let task = event_loop.handle().create_task(everything(census.clone()));
    for turn in 0..turns {
        if turn == cancel_at {
            task.cancel();
        }
        event_loop.run_once(Some(secs(1))).unwrap();
    }
    let done = task.done();
    drop(task);
    drop(event_loop);
    census.assert_all_dropped_once(&format!("cancelled at {cancel_at}, dropped after {turns} turns"));
    done
}

// ---- Scopes that move from task to task ----

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Task A polls `scope` from the start, hands it over to task B at 2, and goes on for `a_lives` seconds.
/// Returns what became of A and B, with requests at the given seconds.
async fn moved(
    trace: &Trace,
    scope: Boxed<&'static str>,
    a_lives: u64,
    cancel_a: Option<u64>,
    cancel_b: Option<u64>,
) -> (String, String) {
    let (slot, taken) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(false)));
    let a = create_task({
        let slot = slot.clone();
        async move {
            let mut scope = scope;
            select(&mut scope, pin!(sleep(secs(2)))).await;
            *slot.borrow_mut() = Some(scope);
            sleep(secs(a_lives)).await;
            "a"
        }
    });
    let b = create_task({
        let taken = taken.clone();
        async move {
            sleep(secs(3)).await;
            taken.set(true);
            let scope = slot.borrow_mut().take().expect("A has put it there");
            scope.await
        }
    });
    for (task, at) in [(a.task_ref(), cancel_a), (b.task_ref(), cancel_b)] {
        if let Some(at) = at {
            evloop::call_later(secs(at), move || assert!(task.cancel()));
        }
    }
    let ended = join(trace.outcome(a), trace.outcome(b)).await;
    assert!(taken.get());
    assert_eq!(nodes(), 0);
    ended
}

#[evloop::test]
async fn a_moved_scope_belongs_to_the_task_that_polls_it() {
    for a_lives in [0, 9] {
        let trace = Trace::new();
        let scope = Box::pin(async {
            match catch_cancel(sleep(secs(8))).await {
                Ok(()) => "slept",
                Err(cancellation) => {
                    cancellation.swallow();
                    "caught"
                }
            }
        });
        let (a, b) = moved(&trace, scope, a_lives, None, Some(5)).await;
        assert_eq!((a, b), (format!("\"a\"@{}", 2 + a_lives), "\"caught\"@5".into()));
    }
}

#[evloop::test]
async fn a_moved_scope_does_not_take_the_former_tasks_request() {
    let trace = Trace::new();
    let scope =
        Box::pin(async { if catch_cancel(sleep(secs(8))).await.is_ok() { "slept" } else { "caught" } });
    let (a, b) = moved(&trace, scope, 9, Some(5), None).await;
    assert_eq!((a.as_str(), b.as_str()), ("Cancelled@5", "\"slept\"@8"));
}

#[evloop::test]
async fn a_moved_deadline_still_comes_and_waits_for_its_cleanup() {
    for a_lives in [0, 9] {
        let trace = Trace::new();
        let t = trace.clone();
        let scope = Box::pin(async move {
            let content = finally(pending::<()>(), t.cleanup("inside", 2));
            if wait_for(content, secs(5)).await.is_err() { "timeout" } else { "value" }
        });
        let (_, b) = moved(&trace, scope, a_lives, None, None).await;
        assert_eq!(b, "\"timeout\"@7");
        assert_eq!(trace.take(), ["inside@7"]);
    }
}

#[evloop::test]
async fn a_cleanup_that_moves_takes_its_request_along() {
    for a_lives in [0, 9] {
        let trace = Trace::new();
        let t = trace.clone();
        let scope = Box::pin(async move {
            finally(pending::<&str>(), async move { t.cleanup("cleanup", 5).await }).await
        });
        let (a, b) = moved(&trace, scope, a_lives, Some(1), None).await;
        assert_eq!(trace.take(), ["cleanup@6"]);
        assert_eq!((a, b), (format!("\"a\"@{}", 2 + a_lives), "Cancelled@6".into()), "A lives {a_lives}");
    }
}

#[evloop::test]
async fn a_handler_that_moves_takes_its_request_along() {
    for a_lives in [0, 9] {
        let trace = Trace::new();
        let t = trace.clone();
        let scope = Box::pin(async move {
            on_cancel(pending::<&str>(), async move |c| {
                t.cleanup("handler", 5).await;
                c.rethrow().await
            })
            .await
        });
        let (a, b) = moved(&trace, scope, a_lives, Some(1), None).await;
        assert_eq!(trace.take(), ["handler@6"]);
        assert_eq!((a, b), (format!("\"a\"@{}", 2 + a_lives), "Cancelled@6".into()), "A lives {a_lives}");
    }
}

#[evloop::test]
async fn an_await_that_moves_still_waits_for_its_task() {
    for a_lives in [0, 9] {
        let trace = Trace::new();
        let t = trace.clone();
        let child = create_task(async move {
            catch_cancel(pending::<()>()).await.unwrap_err().swallow();
            t.cleanup("child", 5).await;
            "child"
        });
        let scope = Box::pin(async { child.await.unwrap() });
        let (_, b) = moved(&trace, scope, a_lives, None, Some(4)).await;
        assert_eq!(b, "\"child\"@9");
        assert_eq!(trace.take(), ["child@9"]);
    }
}

// ---- Where there is no task ----

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&noop_waker()))
}

/// What every scope does where nobody can be cancelled.
fn behave_as_if_there_were_no_tree() {
    let cleaned_up = Cell::new(false);
    {
        let mut caught = pin!(catch_cancel(ready(1)));
        assert!(matches!(poll_once(caught.as_mut()), Poll::Ready(Ok(1))));
        let mut parked = pin!(catch_cancel(pending::<()>()));
        assert!(poll_once(parked.as_mut()).is_pending());
        assert!(poll_once(parked.as_mut()).is_pending());
    }
    {
        let mut handled = pin!(on_cancel(ready(2), async |_| 0));
        assert_eq!(poll_once(handled.as_mut()), Poll::Ready(2));
        let mut timed = pin!(wait_for(ready(3), Duration::ZERO));
        assert_eq!(poll_once(timed.as_mut()), Poll::Ready(Ok(3)));
    }
    let mut cleaned = pin!(finally(ready(4), async { cleaned_up.set(true) }));
    assert_eq!(poll_once(cleaned.as_mut()), Poll::Ready(4));
    assert!(cleaned_up.get());
    let nested = catch_cancel(finally(on_cancel(catch_cancel(pending::<()>()), async |_| Ok(())), async {}));
    let mut nested = Box::pin(nested);
    assert!(poll_once(nested.as_mut()).is_pending());
}

#[test]
fn outside_of_a_loop_scopes_are_what_they_contain() {
    behave_as_if_there_were_no_tree();
}

#[evloop::test]
async fn in_a_callback_scopes_are_what_they_contain() {
    let ran = Rc::new(Cell::new(false));
    let seen = ran.clone();
    call_soon(move || {
        behave_as_if_there_were_no_tree();
        seen.set(true);
    });
    yield_now().await;
    yield_now().await;
    assert!(ran.get());
    assert_eq!(nodes(), 0);
}

#[test]
fn a_scope_first_polled_in_a_loop_can_be_polled_and_dropped_outside() {
    let polls = Rc::new(Cell::new(0));
    let content = std::future::poll_fn({
        let polls = polls.clone();
        move |_| {
            polls.set(polls.get() + 1);
            if polls.get() < 4 { Poll::Pending } else { Poll::Ready(()) }
        }
    });
    let mut scope: Boxed<bool> = Box::pin(async { catch_cancel(content).await.is_ok() });
    let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    event_loop
        .run_until_complete(async {
            assert!(poll_once(scope.as_mut()).is_pending());
        })
        .unwrap();
    assert!(poll_once(scope.as_mut()).is_pending());
    drop(event_loop);
    assert!(poll_once(scope.as_mut()).is_pending());
    assert!(poll_once(scope.as_mut()).is_ready());
    assert_eq!(polls.get(), 4);
}

#[test]
fn a_scope_works_on_in_another_loop() {
    let mut scope: Boxed<bool> = Box::pin(async { catch_cancel(pending::<()>()).await.is_err() });
    let mut first = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
    first.run_until_complete(async { assert!(poll_once(scope.as_mut()).is_pending()) }).unwrap();
    let caught = evloop::run(async {
        let task = create_task(scope);
        yield_now().await;
        task.cancel();
        task.await.unwrap()
    });
    assert!(caught);
    assert_eq!(first.handle().scope_nodes(), 0);
}

// ---- Send ----

#[test]
fn scopes_are_send_when_their_content_is() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    drop(send(catch_cancel(ready(1))));
    drop(send(wait_for(ready(1), Duration::ZERO)));
    drop(send(wait_for(sleep(secs(1)), secs(1))));
    drop(send(finally(ready(1), async {})));
    drop(send(on_cancel(ready(1), async |c| c.rethrow().await)));
    drop(send(on_cancel(ready(1), async |_| 2)));
    drop(send(async {
        if let Err(cancellation) = catch_cancel(finally(wait_for(ready(1), secs(1)), async {})).await {
            yield_now().await;
            cancellation.rethrow().await
        }
    }));
}
