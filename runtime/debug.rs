//! Debug mode: what goes wrong without an error is told.
//!
//! [`Builder::debug`](crate::Builder::debug), [`RunnerBuilder::debug`](crate::RunnerBuilder::debug), the variable
//! `EVLOOP_DEBUG=1` and [`LoopHandle::set_debug`](crate::LoopHandle::set_debug) turn it on. What is found goes to standard
//! error, or to whom [`Builder::on_debug_report`](crate::Builder::on_debug_report) names, as a [`DebugReport`]:
//!
//! * a step that does not end, by name, *while* it holds the loop up, and how long it took when it is over;
//! * a loop that nothing can wake any more, with what each task waits for, and who waits for whom in a circle;
//! * a task that waits for a lock that it holds itself;
//! * a task whose handle was dropped, neither awaited nor detached, and one that its loop left behind;
//! * a write that was dropped half done.
//!
//! Off, it costs one load per batch of steps. [`waiting`] works without it: ask at any time what all tasks wait for.
//!
//! # asyncio
//! Debug mode, whose slow steps are told of when they are over; and `python -m asyncio ps`.
//!
//! # Examples
//! ```
//! use std::sync::mpsc;
//! use evloop::{EventLoop, Runner, time::millis};
//!
//! let (sender, reports) = mpsc::channel();
//! let event_loop = EventLoop::builder().slow_callback_duration(millis(10)).on_debug_report(move |report| {
//!     let _ = sender.send(report.to_string());
//! });
//! let mut runner = Runner::builder().event_loop(event_loop).debug(true).build()?;
//! runner.run(async {
//!     let busy = evloop::create_task(async move {
//!         // The loop stands still until another thread, the watchdog, has told of it.
//!         reports.iter().find(|text| text.starts_with("a step of task busy created at ")).unwrap()
//!     });
//!     busy.set_name("busy"); // counts from the next step on
//!     assert!(busy.await.unwrap().ends_with("seconds and holds the loop up"));
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub use crate::kernel::{DebugReport, Step, Stuck, TaskInfo, TaskWaits, Wait};

use crate::kernel::{LoopHandle, probe, probe_tasks, with_current};

/// What each unfinished task of the running loop waits for, in order of creation, this one included.
///
/// Nothing is written down beforehand: in the next iteration each task that waits is polled once more than it needs, and
/// what it waits for answers. evloop's own futures do; a future of another crate does not say what it is, nor do those in a
/// combinator that polls only what was woken (`FuturesUnordered`). A task that has been woken is not asked: it is
/// [ready](TaskWaits::is_ready).
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// Safe.
///
/// # asyncio
/// `python -m asyncio ps`, from inside.
///
/// # Examples
/// ```
/// use evloop::{Queue, debug::waiting};
///
/// evloop::run(async {
///     let task = evloop::create_task(async { Queue::<u8>::new(0).get().await.is_ok() });
///     task.set_name("consumer");
///     evloop::yield_now().await;
///     let table = waiting().await;
///     assert_eq!(table[1].task().name(), "consumer");
///     assert_eq!(table[1].waits()[0].what(), "Queue::get");
///     task.cancel();
/// });
/// ```
pub fn waiting() -> Waiting {
    Waiting { answer: None }
}

/// The future of [`waiting`].
#[must_use = "futures do nothing unless awaited"]
pub struct Waiting {
    answer: Option<Rc<RefCell<Answer>>>,
}

struct Answer {
    table: Option<Vec<TaskWaits>>,
    waker: Waker,
}

impl Waiting {
    /// Has all tasks asked between two steps, where no code stands in the middle of something.
    fn ask(waker: Waker) -> Rc<RefCell<Answer>> {
        let event_loop =
            LoopHandle::current().expect("waiting() needs a running loop: await it inside of evloop::run");
        let answer = Rc::new(RefCell::new(Answer { table: None, waker }));
        let asked = Rc::downgrade(&answer);
        event_loop.call_soon(move || {
            if asked.strong_count() == 0 {
                return;
            }
            let table = with_current(|_, home| probe_tasks(home));
            if let Some(answer) = asked.upgrade() {
                let waker = {
                    let mut answer = answer.borrow_mut();
                    answer.table = table;
                    // Taken: to clone it is foreign code.
                    std::mem::replace(&mut answer.waker, Waker::noop().clone())
                };
                waker.wake();
            }
        });
        answer
    }
}

impl Future for Waiting {
    type Output = Vec<TaskWaits>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let Some(answer) = &self.answer else {
            self.answer = Some(Self::ask(waker));
            return Poll::Pending;
        };
        let mut there = answer.borrow_mut();
        if let Some(table) = there.table.take() {
            return Poll::Ready(table);
        }
        let former = std::mem::replace(&mut there.waker, waker);
        drop(there);
        drop(former);
        probe::waits_for(|| "debug::waiting".into());
        Poll::Pending
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("asked", &self.answer.is_some()).finish()
    }
}
