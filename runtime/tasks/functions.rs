//! The functions that work on the loop this code runs in.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use crate::kernel::{self, Handle, LoopHandle, Task, TaskBuilder, TaskRef, TimerHandle, with_current};

/// This code does not run in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRunningLoop;

impl fmt::Display for NoRunningLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no event loop runs on this thread; do this inside of evloop::run, or through a LoopProxy",
        )
    }
}

impl Error for NoRunningLoop {}

/// The loop this code runs in.
///
/// # Errors
/// [`NoRunningLoop`] outside of tasks and callbacks.
///
/// # asyncio
/// `asyncio.get_running_loop()`.
///
/// # Examples
/// ```
/// assert!(evloop::get_running_loop().is_err());
/// evloop::run(async {
///     assert!(evloop::get_running_loop().unwrap().is_running());
/// });
/// ```
pub fn get_running_loop() -> Result<LoopHandle, NoRunningLoop> {
    LoopHandle::current().ok_or(NoRunningLoop)
}

#[track_caller]
fn running() -> LoopHandle {
    match LoopHandle::current() {
        Some(handle) => handle,
        None => panic!("{NoRunningLoop}"),
    }
}

/// Starts a task in the running loop; its first step is at the end of the FIFO.
///
/// The loop owns the task until it ends: dropping the [`Task`] detaches it. It sees a copy of the
/// [context variables](crate::ContextVar) of the code that creates it. [`Task::builder`] gives it a name, another
/// context, or its first step at once.
///
/// # Panics
/// Outside of a loop.
///
/// # asyncio
/// `asyncio.create_task(coro)`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let task = evloop::create_task(async { "done" });
///     assert_eq!(task.await.unwrap(), "done");
/// });
/// ```
#[doc(alias = "spawn")]
#[doc(alias = "spawn_local")]
#[track_caller]
pub fn create_task<F: Future + 'static>(future: F) -> Task<F::Output> {
    match kernel::spawn_here(future, std::panic::Location::caller()) {
        Ok(task) => task,
        Err(_) => panic!("{NoRunningLoop}"),
    }
}

impl TaskBuilder {
    /// Starts the task in the running loop.
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # asyncio
    /// `asyncio.create_task(coro, name=…, context=…, eager_start=…)`.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(self, future: F) -> Task<F::Output> {
        match kernel::spawn_here_with(future, std::panic::Location::caller(), self) {
            Ok(task) => task,
            Err(_) => panic!("{NoRunningLoop}"),
        }
    }
}

/// Calls `f` in the next iteration of the running loop, in order of the calls.
///
/// # Panics
/// Outside of a loop. Panics of `f` itself go to the exception handler.
///
/// # asyncio
/// `loop.call_soon(f)`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let promise = evloop::Promise::new();
///     let setter = promise.clone();
///     evloop::call_soon(move || drop(setter.set_result(5)));
///     assert_eq!(promise.await.unwrap(), 5);
/// });
/// ```
#[track_caller]
pub fn call_soon(f: impl FnOnce() + 'static) -> Handle {
    running().call_soon(f)
}

/// Calls `f` after `delay`.
///
/// # Panics
/// Outside of a loop.
///
/// # asyncio
/// `loop.call_later(delay, f)`.
///
/// # Examples
/// ```
/// use evloop::time::millis;
///
/// evloop::run(async {
///     let promise = evloop::Promise::new();
///     let setter = promise.clone();
///     evloop::call_later(millis(1), move || drop(setter.set_result("later")));
///     assert_eq!(promise.await.unwrap(), "later");
/// });
/// ```
#[track_caller]
pub fn call_later(delay: Duration, f: impl FnOnce() + 'static) -> TimerHandle {
    running().call_later(delay, f)
}

/// Calls `f` at a time of the loop's clock, exactly once, never earlier.
///
/// # Panics
/// Outside of a loop.
///
/// # asyncio
/// `loop.call_at(when, f)`.
///
/// # Examples
/// ```
/// use evloop::time::{millis, now};
///
/// evloop::run(async {
///     let promise = evloop::Promise::new();
///     let setter = promise.clone();
///     let when = now() + millis(1);
///     evloop::call_at(when, move || drop(setter.set_result(now())));
///     assert!(promise.await.unwrap() >= when);
/// });
/// ```
#[track_caller]
pub fn call_at(when: Instant, f: impl FnOnce() + 'static) -> TimerHandle {
    running().call_at(when, f)
}

/// The task whose step runs; `None` in callbacks and outside of a loop.
///
/// # asyncio
/// `asyncio.current_task()`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let task = evloop::create_task(async { evloop::current_task().unwrap().id() });
///     let id = task.id();
///     assert_eq!(task.await.unwrap(), id);
/// });
/// ```
#[must_use]
pub fn current_task() -> Option<TaskRef> {
    with_current(|_, home| kernel::current_task(home)).flatten()
}

/// The unfinished tasks of the running loop, in order of creation; none outside of a loop.
///
/// # asyncio
/// `asyncio.all_tasks()`, a set.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let task = evloop::create_task(async {});
///     assert_eq!(evloop::all_tasks().len(), 2, "this one and the new one");
///     task.await.unwrap();
/// });
/// ```
#[must_use]
pub fn all_tasks() -> Vec<TaskRef> {
    LoopHandle::current().map(|handle| handle.all_tasks()).unwrap_or_default()
}
