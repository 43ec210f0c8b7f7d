//! Running a whole program: make a loop, run `main`, end what is left, drop the loop.

use std::time::Duration;

use crate::kernel::{Clock, EventLoop, RunError};
use crate::threads::Pool;

/// How long the end of a run waits for blocking jobs that are still running. asyncio waits 300 s; a
/// process that seems to hang that long helps nobody.
const BLOCKING_JOBS: Duration = Duration::from_secs(10);

/// Runs `main` on a new event loop and returns its output: the entry of a program.
///
/// `main` may borrow from its surroundings; the tasks it creates may not. When it ends, all other tasks
/// are cancelled and waited for, cleanups that await included; jobs of [`to_thread`](crate::to_thread)
/// that still run are waited for, 10 seconds at most.
///
/// # Panics
/// If `main` panics or is cancelled, inside of a running loop, or if the system refuses a poller;
/// [`try_run`] returns the latter as errors.
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
    run_on(EventLoop::new()?, main)
}

/// Runs `main` on a loop that was built for it, and ends the loop.
#[track_caller]
pub(crate) fn run_on<F: IntoFuture>(event_loop: EventLoop, main: F) -> Result<F::Output, RunError> {
    let mut ending = Ending { event_loop };
    let output = ending.event_loop.run_until_complete(main);
    if let Err(error @ (RunError::AlreadyRunning | RunError::Stuck(_))) = output {
        // Nothing was begun, or nothing can end by itself.
        return Err(error);
    }
    ending.end()?;
    output
}

/// Ends the loop also when `main` panicked.
struct Ending {
    event_loop: EventLoop,
}

impl Ending {
    fn end(&mut self) -> Result<(), RunError> {
        match self.event_loop.cancel_all_tasks() {
            // A cleanup may stop the loop; then the rest is dropped.
            Ok(()) | Err(RunError::Stopped) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // As in asyncio, the others may clean up although main failed.
            let _ = self.end();
        }
        let pool = self.event_loop.handle().loop_ref().with(|home| home.find_extension::<Pool>());
        if let Some(pool) = pool.flatten() {
            let running = pool.shut_down(BLOCKING_JOBS);
            if running > 0 {
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr().lock(),
                    format_args!("evloop: {running} blocking jobs still run and are left behind\n"),
                );
            }
        }
    }
}

/// What `#[evloop::main]` expands to when it names a clock.
#[doc(hidden)]
#[track_caller]
pub fn main_on<F: IntoFuture>(clock: Clock, main: F) -> F::Output {
    let event_loop = EventLoop::builder().clock(clock).build();
    match event_loop.map_err(RunError::from).and_then(|event_loop| run_on(event_loop, main)) {
        Ok(output) => output,
        Err(error) => panic!("evloop: {error}"),
    }
}

/// What `#[evloop::test]` expands to: as `main_on`, and a loop on which nothing can happen any more fails
/// with the list of its tasks.
#[doc(hidden)]
#[track_caller]
pub fn test_on<F: IntoFuture>(clock: Clock, main: F) -> F::Output {
    let event_loop = EventLoop::builder().clock(clock).detect_stuck(true).build();
    match event_loop.map_err(RunError::from).and_then(|event_loop| run_on(event_loop, main)) {
        Ok(output) => output,
        Err(error) => panic!("{error}"),
    }
}
