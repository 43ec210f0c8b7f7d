//! A runner for one run: the entry of a program.

use std::io;

use super::life::Runner;
use crate::kernel::{Clock, EventLoop, RunError};

/// What a shell says of a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// Runs `main` on a new event loop and returns its output: the entry of a program.
///
/// `main` may borrow from its surroundings; the tasks it creates may not. When it ends, all other tasks
/// are cancelled and waited for, cleanups that await included. Jobs of [`to_thread`](crate::to_thread) are not waited
/// for: those that still run are reported and left behind.
///
/// Ctrl-C cancels `main`, and a second one ends the run at once, as [`Runner`] says; a process that was interrupted
/// exits with code 130 after that, without returning from here. [`try_run`] returns it as an error.
///
/// # Panics
/// If `main` panics or is cancelled, inside of a running loop, or if the system refuses a poller;
/// [`try_run`] returns all but the first as errors.
///
/// # asyncio
/// `asyncio.run(main())`.
///
/// # Examples
/// ```
/// use evloop::time::millis;
///
/// let greeting = String::from("hello");
/// let length = evloop::run(async {
///     evloop::sleep(millis(1)).await;
///     greeting.len()
/// });
/// assert_eq!(length, 5);
/// ```
#[doc(alias = "block_on")]
#[track_caller]
pub fn run<F: IntoFuture>(main: F) -> F::Output {
    match try_run(main) {
        Ok(output) => output,
        Err(RunError::Interrupted) => std::process::exit(INTERRUPTED),
        Err(error) => panic!("evloop::run: {error}; evloop::try_run returns this as an error"),
    }
}

/// As [`run`], with errors for what is not `main`'s own.
///
/// # Errors
/// See [`RunError`].
///
/// # Panics
/// If `main` panics.
///
/// # Examples
/// ```
/// use evloop::RunError;
///
/// let cancelled = evloop::try_run(async {
///     evloop::current_task().unwrap().cancel();
///     evloop::yield_now().await;
/// });
/// assert!(matches!(cancelled, Err(RunError::Cancelled(_))));
/// ```
#[track_caller]
pub fn try_run<F: IntoFuture>(main: F) -> Result<F::Output, RunError> {
    run_with(Runner::new(), main)
}

/// One run and the end.
#[track_caller]
pub(super) fn run_with<F: IntoFuture>(runner: io::Result<Runner>, main: F) -> Result<F::Output, RunError> {
    let mut runner = runner?;
    let output = runner.run(main);
    runner.close_after(&output)?;
    output
}

/// What `#[evloop::main]` expands to when it names a clock.
#[doc(hidden)]
#[track_caller]
pub fn main_on<F: IntoFuture>(clock: Clock, main: F) -> F::Output {
    let runner = Runner::builder().event_loop(EventLoop::builder().clock(clock)).build();
    match run_with(runner, main) {
        Ok(output) => output,
        Err(RunError::Interrupted) => std::process::exit(INTERRUPTED),
        Err(error) => panic!("evloop: {error}"),
    }
}
