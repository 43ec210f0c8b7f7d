//! What the tests of this binary share: a trace with virtual instants, cleanups that tell whether they ran
//! whole, and running a body that is cancelled at given instants.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use evloop::time::{secs, sleep_until};
use evloop::{Promise, Task, TaskError};

/// What happened, each line with the second of virtual time at which it did.
#[derive(Clone)]
pub(crate) struct Trace {
    start: Instant,
    lines: Rc<RefCell<Vec<String>>>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { start: evloop::now(), lines: Rc::default() }
    }

    /// Seconds since the start; every test uses whole ones.
    pub(crate) fn seconds(&self) -> u64 {
        let passed = evloop::now() - self.start;
        assert_eq!(passed.subsec_nanos(), 0, "virtual time stopped beside a whole second");
        passed.as_secs()
    }

    pub(crate) fn say(&self, text: &str) {
        let line = format!("{text}@{}", self.seconds());
        self.lines.borrow_mut().push(line);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.borrow_mut())
    }

    /// A cleanup that takes `n` seconds: says `name` when it ran whole and `name cut` when it was dropped.
    pub(crate) async fn cleanup(&self, name: &'static str, n: u64) {
        let mut guard = CutGuard { trace: self.clone(), name, whole: false };
        evloop::sleep(secs(n)).await;
        guard.whole = true;
        self.say(name);
    }

    /// Never ends; says `name dropped` when it is dropped.
    pub(crate) async fn never<T>(&self, name: &'static str) -> T {
        let _guard = DropGuard { trace: self.clone(), name };
        std::future::pending().await
    }

    /// Starts `body` as a task now, cancels it at the given seconds, and waits for its end without a scope
    /// of its own. Returns what became of it, and asserts that no scope node is left if no other task is.
    pub(crate) async fn run<T: Debug + 'static>(
        &self,
        cancel_at: &[u64],
        body: impl Future<Output = T> + 'static,
    ) -> String {
        let task = evloop::create_task(body);
        for &second in cancel_at {
            // Even a sleep that is over would yield, and two requests of one second belong into one step.
            if self.seconds() < second {
                sleep_until(self.start + secs(second)).await;
            }
            task.cancel();
        }
        let outcome = self.outcome(task).await;
        if evloop::all_tasks().len() == 1 {
            assert_eq!(nodes(), 0, "scope nodes are left after {outcome}");
        }
        outcome
    }

    /// Waits for a task's end without a scope; says how and when it ended.
    pub(crate) async fn outcome<T: Debug + 'static>(&self, mut task: Task<T>) -> String {
        let ended = Promise::new();
        task.add_done_callback({
            let ended = ended.clone();
            move |_| ended.set_result(()).unwrap()
        });
        ended.await.unwrap();
        let text = match task.take_result().unwrap() {
            Ok(value) => format!("{value:?}"),
            Err(TaskError::Cancelled(_)) => "Cancelled".into(),
            Err(TaskError::Panicked(panic)) => format!("Panicked({})", panic.message()),
        };
        format!("{text}@{}", self.seconds())
    }
}

/// A task that never ends by itself and takes `n` seconds to clean up.
pub(crate) fn child(trace: &Trace, name: &'static str, n: u64) -> Task<()> {
    let trace = trace.clone();
    evloop::create_task(evloop::finally(
        std::future::pending::<()>(),
        async move { trace.cleanup(name, n).await },
    ))
}

/// A task that swallows its first request and returns `n` seconds later.
pub(crate) fn stubborn(n: u64) -> Task<&'static str> {
    evloop::create_task(async move {
        evloop::catch_cancel(std::future::pending::<()>()).await.unwrap_err().swallow();
        evloop::sleep(secs(n)).await;
        "swallowed"
    })
}

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

pub(crate) async fn after<T>(n: u64, value: T) -> T {
    evloop::sleep(secs(n)).await;
    value
}

/// Never ends by itself and cleans up for `n` seconds.
pub(crate) fn tidy(trace: &Trace, name: &'static str, n: u64) -> Boxed<&'static str> {
    let trace = trace.clone();
    Box::pin(async move {
        let cleanup = trace.clone();
        evloop::finally(trace.never("body"), async move { cleanup.cleanup(name, n).await }).await
    })
}

/// Swallows its first request and gives its name `n` seconds later.
pub(crate) fn swallows(name: &'static str, n: u64) -> Boxed<&'static str> {
    Box::pin(async move {
        evloop::catch_cancel(std::future::pending::<()>()).await.unwrap_err().swallow();
        after(n, name).await
    })
}

struct CutGuard {
    trace: Trace,
    name: &'static str,
    whole: bool,
}

impl Drop for CutGuard {
    fn drop(&mut self) {
        if !self.whole {
            self.trace.say(&format!("{} cut", self.name));
        }
    }
}

struct DropGuard {
    trace: Trace,
    name: &'static str,
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.trace.say(&format!("{} dropped", self.name));
    }
}

/// Living scope nodes of the running loop.
pub(crate) fn nodes() -> usize {
    evloop::get_running_loop().unwrap().scope_nodes()
}

/// The iteration the loop is in.
pub(crate) fn iteration() -> u64 {
    evloop::get_running_loop().unwrap().iterations()
}

/// Counts the polls of what it wraps.
pub(crate) struct Counted<F> {
    content: Pin<Box<F>>,
    polls: Rc<Cell<usize>>,
}

pub(crate) fn counted<F: Future>(polls: &Rc<Cell<usize>>, content: F) -> Counted<F> {
    Counted { content: Box::pin(content), polls: polls.clone() }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.set(self.polls.get() + 1);
        self.content.as_mut().poll(cx)
    }
}
