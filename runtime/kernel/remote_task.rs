//! A task as seen from another thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::context::{current_loop, with_current};
use super::debug::probe;
use super::proxy::{LoopProxy, OutsideWait};
use super::report::report_panic;
use super::task::{CancelledError, Panic, Task, TaskError, TaskRef, spawn, spawn_with};

/// A task that was started from another thread: a future that is `Send`, or a blocking
/// [`join`](Self::join). Dropping it detaches the task.
///
/// # asyncio
/// The `concurrent.futures.Future` that `asyncio.run_coroutine_threadsafe` returns.
#[must_use = "a dropped task runs on, detached"]
pub struct RemoteTask<T> {
    cell: Arc<Cell<T>>,
    /// Requests to end it that have not come to the task: whichever runs first, the start or a request's own letter,
    /// passes them on. So none is lost if a batch is shuffled, and a task that was asked before it began does not.
    asked: Arc<AtomicUsize>,
    proxy: LoopProxy,
    /// Another loop ends it.
    outside: OutsideWait,
}

struct Cell<T> {
    id: u64,
    state: Mutex<State<T>>,
    ended: Condvar,
}

enum State<T> {
    /// Whom to wake.
    Running(Option<Waker>),
    Ended(Result<T, TaskError>),
    Taken,
    /// The `RemoteTask` was dropped.
    Abandoned,
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No foreign code runs under this lock, so it is whole whatever happened.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, output: Result<T, TaskError>) {
        let mut state = self.lock();
        match &mut *state {
            State::Running(waker) => {
                let waker = waker.take();
                *state = State::Ended(output);
                drop(state);
                self.ended.notify_all();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Abandoned => {
                drop(state);
                if let Err(TaskError::Panicked(panic)) = output {
                    report_unawaited(panic);
                }
            }
            State::Ended(_) | State::Taken => {}
        }
    }
}

/// Nobody waits for a panic: the loop's exception handler is told. At home.
fn report_unawaited(panic: Panic) {
    report_panic("a task panicked and nobody awaited it", panic.into_payload());
}

/// Ends the cell however the task's side goes: with its output, or, dropped with the loop, cancelled.
struct Completion<T>(Arc<Cell<T>>);

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        let closed = CancelledError::new(Some("the event loop is closed".into()));
        self.0.end(Err(TaskError::Cancelled(closed)));
    }
}

/// The task's handle, on the loop's side, and where its output goes.
struct Outcome<T> {
    task: Task<T>,
    completion: Completion<T>,
}

impl<T> Drop for Outcome<T> {
    /// The loop ended: between the task's last step and the callback that passes its output on, or before
    /// the task. An output there is not lost; else the completion says what happened.
    fn drop(&mut self) {
        match self.task.take_result() {
            None | Some(Err(TaskError::Cancelled(_))) => {}
            Some(output) => self.completion.0.end(output),
        }
    }
}

/// The loop's own table of tasks that other threads may cancel.
#[derive(Default)]
struct Remotes(RefCell<HashMap<u64, TaskRef>>);

impl LoopProxy {
    /// Starts a task on the loop's thread: `make` is called there, so the future it makes need not be
    /// `Send`. If the loop is gone, or ends before the task, the task ends cancelled.
    ///
    /// # asyncio
    /// `asyncio.run_coroutine_threadsafe(coro, loop)`.
    #[track_caller]
    pub fn create_task<F, Fut>(&self, make: F) -> RemoteTask<Fut::Output>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        start(self.clone(), make)
    }
}

#[track_caller]
fn start<F, Fut>(proxy: LoopProxy, make: F) -> RemoteTask<Fut::Output>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let location = Location::caller();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let cell = Arc::new(Cell { id, state: Mutex::new(State::Running(None)), ended: Condvar::new() });
    let asked = Arc::new(AtomicUsize::new(0));
    let (completion, heard) = (Completion(cell.clone()), asked.clone());
    // A closed loop drops the closure, and the completion says so.
    let _ = proxy.call_soon(move || begin(make, completion, &heard, location));
    RemoteTask { cell, asked, proxy, outside: OutsideWait::default() }
}

/// At home: makes the future and starts its task.
fn begin<F, Fut>(
    make: F,
    completion: Completion<Fut::Output>,
    asked: &AtomicUsize,
    location: &'static Location<'static>,
) where
    F: FnOnce() -> Fut,
    Fut: Future + 'static,
    Fut::Output: 'static,
{
    let future = match panic::catch_unwind(AssertUnwindSafe(make)) {
        Ok(future) => future,
        Err(payload) => {
            // Both sides hear of it: the other thread, and the loop's exception handler.
            let message = super::exception::panic_text(&*payload).to_owned();
            completion.0.end(Err(TaskError::Panicked(Panic::new(payload))));
            panic::resume_unwind(Box::new(message));
        }
    };
    let Some(loop_ref) = current_loop() else { return };
    let started = with_current(|_, home| {
        // One that was asked before it begins must not, so it waits for the request, on a loop of eager tasks, too.
        let task = if asked.load(Ordering::Relaxed) == 0 {
            spawn(&loop_ref, home, future, location)
        } else {
            spawn_with(&loop_ref, home, future, location, Task::builder().eager(false))
        };
        (task, home.extension(Remotes::default))
    });
    let Some((task, remotes)) = started else { return };
    let id = completion.0.id;
    let task_ref = task.task_ref();
    let mut outcome = Outcome { task, completion };
    remotes.0.borrow_mut().insert(id, task_ref.clone());
    // The task owns its own handle until it ends; a loop that ends first drops the callback, and with it
    // this circle.
    task_ref.add_done_callback(move |_| {
        let former = remotes.0.borrow_mut().remove(&id);
        drop(former);
        if let Some(output) = outcome.task.take_result() {
            outcome.completion.0.end(output);
        }
    });
    for _ in 0..asked.swap(0, Ordering::Relaxed) {
        task_ref.cancel();
    }
}

impl<T> RemoteTask<T> {
    /// Waits for the output, blocking this thread.
    ///
    /// # Errors
    /// How the task ended, if not with a value: cancelled (also by the end of its loop), or panicked.
    ///
    /// # Panics
    /// On the thread of the task's own running loop, which could never go on. Await it there.
    pub fn join(self) -> Result<T, TaskError> {
        assert!(
            !self.proxy.is_current(),
            "join() would block the loop that the task needs; await the RemoteTask instead"
        );
        let mut state = self.cell.lock();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Ended(output) => return output,
                running @ State::Running(_) => *state = running,
                State::Taken | State::Abandoned => {
                    return Err(TaskError::Cancelled(CancelledError::default()));
                }
            }
            state = self.cell.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks the task to end, as [`TaskRef::cancel`]. If it has not come to its loop yet, it never begins.
    pub fn cancel(&self) {
        let (id, asked) = (self.cell.id, self.asked.clone());
        asked.fetch_add(1, Ordering::Relaxed);
        // A loop that is gone has ended the task already.
        let _ = self.proxy.call_soon(move || {
            let remotes = with_current(|_, home| home.find_extension::<Remotes>()).flatten();
            let task = remotes.and_then(|r| r.0.borrow().get(&id).cloned());
            let one_less = |count: usize| count.checked_sub(1);
            if let Some(task) = task
                && asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
            {
                task.cancel();
            }
        });
    }

    /// Whether the output is there, or was taken.
    #[must_use]
    pub fn done(&self) -> bool {
        !matches!(*self.cell.lock(), State::Running(_))
    }
}

impl<T> Future for RemoteTask<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Cloned before and dropped after: wakers are foreign code, and the lock is not for it.
        let waker = cx.waker().clone();
        let mut state = this.cell.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ended(output) => {
                drop(state);
                this.outside.end();
                Poll::Ready(output)
            }
            State::Running(former) => {
                *state = State::Running(Some(waker));
                drop(state);
                drop(former);
                this.outside.begin();
                probe::waits_for(|| "RemoteTask".into());
                Poll::Pending
            }
            State::Taken | State::Abandoned => panic!("a RemoteTask was polled after it was ready"),
        }
    }
}

impl<T> Drop for RemoteTask<T> {
    fn drop(&mut self) {
        let former = std::mem::replace(&mut *self.cell.lock(), State::Abandoned);
        if let State::Ended(Err(TaskError::Panicked(panic))) = former {
            // A loop that is gone has no handler; its task's panic was printed when it happened.
            let _ = self.proxy.call_soon(move || report_unawaited(panic));
        }
    }
}

impl<T> fmt::Debug for RemoteTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask").field("done", &self.done()).finish_non_exhaustive()
    }
}
