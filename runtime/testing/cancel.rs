//! Ending a future at each of its awaits, in each way there is.
//!
//! The first run counts the suspensions of the future under test. Then each run, on a loop of its own and with a fresh
//! scenario, interrupts it at one of them (`probe.rs`), lets it end, calls the scenario's check, ends what is left, and
//! looks at what the loop still holds. A timer far behind the first run's end finds what hangs.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, Location};
use std::rc::Rc;
use std::time::Duration;

use super::probe::{Probe, Progress};
use super::scenario::{Ended, How, Interruption, Run, Scenario};
use super::seed;
use crate::kernel::{Clock, EventLoop, LoopHandle, Panic, RunError, TaskError, spawn_here};
use crate::sync::Promise;
use crate::time::secs;

/// How much longer than the first run another may take, in virtual time.
const PATIENCE: Duration = secs(3600);

/// Runs a scenario once and counts the suspensions of its future; then, for each of them, runs it again and
/// cancels the future's task there, or drops the future there. Returns the number of suspensions.
///
/// The closure makes the scenario anew for each run, inside of the run's own loop on the virtual clock: it may start
/// tasks and set timers. The future becomes a task. It is interrupted in each [`How`] at each suspension, and before its
/// first poll. A cancelled task goes on until it has ended, cleanups that await included. Then the scenario's
/// [`check`](Scenario::check) says whether all is in order. At last the tasks that are left are cancelled.
///
/// Besides what the check finds, a run fails if
/// * nothing can happen any more, or the run takes an hour of virtual time longer than the first one;
/// * a panic was reported to the loop's exception handler (a scenario may set its own);
/// * when all tasks have ended, a cancellation scope, a timer that wakes somebody or a descriptor's waiter is left.
///
/// Where something outside of the loop takes part (a thread that holds a [`LoopProxy`](crate::LoopProxy), a socket),
/// virtual time passes at real pace, and what hangs is not found. For a thread that holds a waker and nothing else,
/// virtual time does not wait: do not use such in a scenario.
///
/// # Panics
/// If a run fails: with what it failed of, and what was done to the future at which suspension. If the future is never
/// suspended, since then there is nothing to find out. If a run does not come as far as the first did: a
/// scenario has to be deterministic. Inside of a loop.
///
/// # asyncio
/// There is nothing like it.
///
/// # Examples
/// ```
/// use evloop::testing::{Ended, Scenario, cancel_everywhere};
/// use evloop::{Queue, create_task, yield_now};
/// use std::rc::Rc;
///
/// // A queue with room for one: the second put waits until somebody takes the first item.
/// let suspensions = cancel_everywhere(|| {
///     let queue = Rc::new(Queue::new(1));
///     queue.put_nowait("first").unwrap();
///     let taker = create_task({
///         let queue = queue.clone();
///         async move { yield_now().await; queue.get().await }
///     });
///     let putter = queue.clone();
///     Scenario::new(async move { putter.put("second").await }).check(async move |run| {
///         assert_eq!(taker.await.unwrap(), Ok("first"));
///         let there = queue.get_nowait().is_ok();
///         assert_eq!(there, matches!(run.ended, Ended::Value(Ok(()))), "stored if and only if put says so");
///     })
/// });
/// assert_eq!(suspensions, 1);
/// ```
///
/// A future that loses an item when it is cancelled between two awaits is found out:
/// ```should_panic
/// use evloop::testing::{Scenario, cancel_everywhere};
/// use evloop::{Queue, yield_now};
/// use std::rc::Rc;
///
/// cancel_everywhere(|| {
///     let (from, to) = (Rc::new(Queue::new(0)), Rc::new(Queue::new(0)));
///     from.put_nowait("item").unwrap();
///     let ends = (from.clone(), to.clone());
///     let moves = async move {
///         let item = from.get().await.unwrap();
///         yield_now().await; // Here it is in neither.
///         to.put_nowait(item).unwrap();
///     };
///     Scenario::new(moves).check(async move |_| assert_eq!(ends.0.qsize() + ends.1.qsize(), 1))
/// });
/// ```
#[track_caller]
pub fn cancel_everywhere<F, C>(mut scenario: impl FnMut() -> Scenario<F, C>) -> usize
where
    F: Future + 'static,
    C: AsyncFnOnce(Run<F::Output>),
{
    let location = Location::caller();
    let first = match attempt(|| one_run(&mut scenario, None, None, location)) {
        Ok(first) => first,
        Err(why) => panic!("when nothing was done to the future: {why}"),
    };
    assert!(
        first.suspensions > 0,
        "the future is never suspended, so nothing can come between; let it wait for something"
    );
    for interruption in Interruption::all(first.suspensions) {
        let limit = first.took.saturating_add(PATIENCE);
        if let Err(why) = attempt(|| one_run(&mut scenario, Some(interruption), Some(limit), location)) {
            panic!("when the future was {interruption} of {}: {why}", first.suspensions);
        }
    }
    first.suspensions
}

/// What a run came to.
struct Finding {
    suspensions: usize,
    took: Duration,
}

/// A run's result, its panics included.
fn attempt(run: impl FnOnce() -> Result<Finding, String>) -> Result<Finding, String> {
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => Err(Panic::new(payload).message().to_owned()),
    }
}

fn one_run<F, C>(
    scenario: &mut impl FnMut() -> Scenario<F, C>,
    plan: Option<Interruption>,
    limit: Option<Duration>,
    location: &'static Location<'static>,
) -> Result<Finding, String>
where
    F: Future + 'static,
    C: AsyncFnOnce(Run<F::Output>),
{
    let event_loop = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true).shuffle(seed()).build();
    let mut event_loop = event_loop.map_err(|error| error.to_string())?;
    let handle = event_loop.handle();
    let start = handle.time();
    let reports = Rc::new(RefCell::new(Vec::new()));
    handle.set_exception_handler({
        let reports = reports.clone();
        move |context| reports.borrow_mut().push(context.to_string())
    });
    let alarm = limit.map(|limit| HangAlarm::set(&handle, limit));
    let progress = Rc::new(Progress::default());

    let main = play(&handle, scenario, plan, &progress, location);
    let ran = event_loop.run_until_complete(main);
    why_it_ended(ran, alarm.as_ref())?;
    if plan.is_some() && !progress.interrupted.get() {
        let came = progress.suspensions.get();
        return Err(format!(
            "it did not come so far, but ended after {came}; a scenario has to be deterministic"
        ));
    }
    let took = handle.time() - start;
    why_it_ended(event_loop.cancel_all_tasks(), alarm.as_ref())
        .map_err(|why| format!("the tasks that were left do not end when they are cancelled; {why}"))?;
    drop(alarm);
    nothing_is_left(&handle)?;
    match reports.take().first() {
        Some(report) => Err(format!("a panic that nobody saw: {report}")),
        None => Ok(Finding { suspensions: progress.suspensions.get(), took }),
    }
}

/// The run's main task: the scenario, the future under test, the check.
async fn play<F, C>(
    handle: &LoopHandle,
    scenario: &mut impl FnMut() -> Scenario<F, C>,
    plan: Option<Interruption>,
    progress: &Rc<Progress>,
    location: &'static Location<'static>,
) where
    F: Future + 'static,
    C: AsyncFnOnce(Run<F::Output>),
{
    let Scenario { future, check, fifo } = scenario();
    if fifo {
        handle.loop_ref().with(|home| home.ready.shuffle(None));
    }
    let Ok(mut task) = spawn_here(Probe::new(future, plan, progress.clone()), location) else {
        unreachable!("this runs in the loop");
    };
    task.set_name("the future under test");
    if plan == Some(Interruption { how: How::Cancel, suspension: 0 }) {
        progress.interrupted.set(true);
        task.cancel();
    }
    // Not by awaiting the task: that would be a scope of this one's own.
    let over = Promise::new();
    task.add_done_callback({
        let over = over.clone();
        move |_| over.set_result(()).expect("a task ends once")
    });
    over.wait_done().await;
    let ended = match task.take_result().expect("it is over, and nobody else has it") {
        Ok(Some(value)) => Ended::Value(value),
        Ok(None) => Ended::Dropped,
        Err(TaskError::Cancelled(error)) => Ended::Cancelled(error),
        Err(TaskError::Panicked(panic)) => panic.resume(),
    };
    drop(task);
    check(Run { interruption: plan, ended }).await;
}

/// Stops the loop when a run takes too long, and remembers who was still there.
struct HangAlarm {
    timer: crate::kernel::TimerHandle,
    tasks: Rc<RefCell<Vec<String>>>,
    rang: Rc<Cell<bool>>,
}

impl HangAlarm {
    fn set(handle: &LoopHandle, limit: Duration) -> Self {
        let (tasks, rang) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
        let timer = handle.call_later(limit, {
            let (handle, tasks, rang) = (handle.clone(), tasks.clone(), rang.clone());
            move || {
                rang.set(true);
                let names = handle.all_tasks().into_iter().map(|task| match task.location() {
                    Some(location) => format!("{} created at {location}", task.name()),
                    None => task.name().to_string(),
                });
                *tasks.borrow_mut() = names.collect();
                handle.stop();
            }
        });
        Self { timer, tasks, rang }
    }
}

impl Drop for HangAlarm {
    fn drop(&mut self) {
        self.timer.cancel();
    }
}

fn why_it_ended(ran: Result<(), RunError>, alarm: Option<&HangAlarm>) -> Result<(), String> {
    match (ran, alarm) {
        (Ok(()), _) => Ok(()),
        (Err(RunError::Stopped), Some(alarm)) if alarm.rang.get() => {
            Err(format!("it hangs; the tasks are\n  {}", alarm.tasks.borrow().join("\n  ")))
        }
        (Err(RunError::Stopped), _) => Err("the scenario stopped the loop".to_owned()),
        (Err(RunError::Stuck(stuck)), _) => Err(format!("it hangs: {stuck}")),
        (Err(error), _) => Err(error.to_string()),
    }
}

/// All tasks have ended: nobody is left who could be in a scope, sleep, or wait for a descriptor.
fn nothing_is_left(handle: &LoopHandle) -> Result<(), String> {
    let (scopes, (_, waiting)) = (handle.scope_nodes(), handle.registrations());
    let mut sleepers = 0;
    // The callbacks of timers may be left: a scenario need not wait for all that it has set.
    while let Some(alarm) = handle.loop_ref().with(|home| home.timers.take_any()).flatten() {
        sleepers += usize::from(alarm.is_waker());
    }
    match (scopes, sleepers, waiting) {
        (0, 0, 0) => Ok(()),
        _ => Err(format!(
            "when all tasks had ended, {scopes} scopes, {sleepers} timers that wake somebody and {waiting} waiters of \
             descriptors were left"
        )),
    }
}
