//! Every combinator and every primitive that waits, cancelled and dropped at each of its awaits.
//!
//! A test is a scenario and its check; [`everywhere`] runs it, and tells what became of the runs that were not
//! dropped, which the test compares as a whole. What a drop leaves behind is the business of the check. A new
//! combinator of tasks needs a [`Family`] and little else.

mod channels;
mod combinators;
mod groups;
mod primitives;
mod races;
mod scopes;
mod sharing;
mod tasks;
mod thread_channel;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Instant;

use evloop::testing::{self, Ended, How, Run, Scenario, cancel_everywhere, settle};
use evloop::time::secs;
use evloop::{TaskRef, all_tasks, current_task, now, on_cancel, sleep};

/// Runs a scenario everywhere. Returns, for each run that was not dropped, the suspension at which it was cancelled
/// (`woken` if it had been woken), how it ended and at which second: `"2: Cancelled@5"`; first the one without
/// interruption: `"Ok(7)@9"`.
///
/// How a run ends is told of asyncio's order. If another one is asked for, the checks have to hold in that one, too.
fn everywhere<F, C>(mut make: impl FnMut() -> (F, C)) -> Vec<String>
where
    F: IntoFuture<Output: Debug, IntoFuture: 'static>,
    C: AsyncFnOnce(&Run<F::Output>),
{
    if testing::seed().is_some() {
        cancel_everywhere(|| {
            let (future, check) = make();
            Scenario::new(future).check(async move |run| check(&run).await)
        });
    }
    in_fifo_order(make)
}

/// The same, of a scenario that is about the order.
fn in_fifo_order<F, C>(mut make: impl FnMut() -> (F, C)) -> Vec<String>
where
    F: IntoFuture<Output: Debug, IntoFuture: 'static>,
    C: AsyncFnOnce(&Run<F::Output>),
{
    let lines = RefCell::new(Vec::new());
    cancel_everywhere(|| {
        let (start, lines) = (now(), &lines);
        let (future, check) = make();
        let scenario = Scenario::new(future).check(async move |run| {
            lines.borrow_mut().extend(line(&run, start));
            check(&run).await;
        });
        scenario.fifo()
    });
    lines.into_inner()
}

fn line<T: Debug>(run: &Run<T>, start: Instant) -> Option<String> {
    let ended = match &run.ended {
        Ended::Value(value) => format!("{value:?}"),
        Ended::Cancelled(_) => "Cancelled".to_owned(),
        Ended::Dropped => return None,
    };
    let passed = now() - start;
    assert_eq!(passed.subsec_nanos(), 0, "all times are whole seconds");
    let before = match run.interruption {
        None => String::new(),
        Some(interruption) if interruption.how == How::CancelWoken => {
            format!("{} woken: ", interruption.suspension)
        }
        Some(interruption) => format!("{}: ", interruption.suspension),
    };
    Some(format!("{before}{ended}@{}", passed.as_secs()))
}

fn dropped<T>(run: &Run<T>) -> bool {
    matches!(run.ended, Ended::Dropped)
}

/// Whether the future was polled at all.
fn begun<T>(run: &Run<T>) -> bool {
    run.interruption.is_none_or(|interruption| interruption.suspension > 0)
}

/// The tasks that are there besides the check.
fn others() -> Vec<TaskRef> {
    let mut tasks = all_tasks();
    tasks.retain(|task| current_task().is_none_or(|current| current.id() != task.id()));
    tasks
}

/// Children that take a second to clean up when they are cancelled.
#[derive(Clone, Default)]
struct Family(Rc<Counts>);

#[derive(Default)]
struct Counts {
    /// Children that have begun and are not gone.
    running: Cell<usize>,
    /// Cleanups that began.
    cleanups: Cell<usize>,
    /// Cleanups that came to their end.
    whole: Cell<usize>,
}

impl Family {
    /// A future that sleeps for so many seconds and returns their number.
    fn child(&self, seconds: u64) -> impl Future<Output = u64> + use<> {
        struct Gone(Rc<Counts>);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.running.update(|running| running - 1);
            }
        }
        let counts = self.0.clone();
        async move {
            counts.running.update(|running| running + 1);
            let _gone = Gone(counts.clone());
            on_cancel(sleep(secs(seconds)), async |c| {
                counts.cleanups.update(|cleanups| cleanups + 1);
                sleep(secs(1)).await;
                counts.whole.update(|whole| whole + 1);
                c.rethrow().await
            })
            .await;
            seconds
        }
    }

    /// The check of what runs its children as tasks, waits for all of them, and passes requests on to them: whoever
    /// gets a value or a cancellation finds them ended. A plain drop has asked them to end.
    async fn has_ended<T>(&self, run: &Run<T>) {
        if dropped(run) || !begun(run) {
            for task in others() {
                assert!(task.cancelling() > 0, "{task:?} was not asked to end");
            }
            sleep(secs(1)).await;
            settle().await;
        }
        assert!(others().is_empty(), "{:?} run on", others());
        self.is_gone();
    }

    /// Nobody runs, and no cleanup was cut.
    fn is_gone(&self) {
        assert_eq!(self.0.running.get(), 0, "children run on");
        assert_eq!(self.0.whole.get(), self.0.cleanups.get(), "a cleanup was cut");
    }
}
