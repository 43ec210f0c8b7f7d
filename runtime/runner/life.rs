//! A loop that runs one main after the other, and its end.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::panic::Location;

use super::builder::{RunnerBuilder, Settings};
use super::interrupt::Interrupted;
use super::shutdown;
use crate::kernel::{Context, EventLoop, LoopHandle, MainRun, RunError, captured_context};

/// Runs one main after the other on one loop, and ends the loop in an orderly way. [`run`](crate::run) is one of these,
/// used once.
///
/// # Ctrl-C
/// On the process's main thread, on the system's clock, and only if SIGINT still ends the process, SIGINT means this
/// while `main` runs (Unix only; [`handle_sigint(false)`](RunnerBuilder::handle_sigint) to opt out):
///
/// 1. The first cancels `main`, once. If it then ends cancelled, `run` returns [`RunError::Interrupted`]; if it goes on,
///    its value is returned; if somebody else has cancelled it as well, that stays [`RunError::Cancelled`].
/// 2. The second ends the run at once, as does the first that comes while the runner is being closed: no cleanup is waited
///    for, everything is dropped.
/// 3. If the loop has not even noticed the one before, because a step of a task is stuck in blocking code, the process ends
///    by the signal.
///
/// A listener of the program's own ([`ctrl_c`](crate::ctrl_c), a stream, a callback) comes first: while there is one, in
/// whatever loop, it has SIGINT and the runner does nothing. What SIGINT did before is restored after each run.
///
/// # asyncio
/// `asyncio.Runner`. Instead of `with`: [`close`](Self::close), or the drop.
///
/// # Examples
/// ```
/// use evloop::Runner;
///
/// let mut runner = Runner::new()?;
/// let task = runner.run(async { evloop::create_task(async { 20 }) })?;
/// assert_eq!(runner.run(async { task.await.unwrap() + 1 })?, 21);
/// runner.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runner {
    /// `None` once it is closed.
    event_loop: Option<EventLoop>,
    handle: LoopHandle,
    settings: Settings,
    /// Nothing is to be waited for any more.
    at_once: bool,
    /// The one context of all mains, a copy of what whoever first uses the runner is in; `None` in it until something is
    /// set, so that a main which sets nothing is as cheap as any task.
    context: OnceCell<Option<Context>>,
}

impl Runner {
    /// A runner with default settings, and its loop.
    ///
    /// # Errors
    /// If the system refuses a poller: no descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A runner with other settings.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder::new()
    }

    pub(super) fn with(event_loop: EventLoop, settings: Settings) -> Self {
        let handle = event_loop.handle();
        Self { event_loop: Some(event_loop), handle, settings, at_once: false, context: OnceCell::new() }
    }

    /// Runs `main` until it ends, and the loop's other tasks meanwhile; they stay in the loop for the next run.
    ///
    /// `main` may borrow: it and its output are dropped before this returns. All mains share one context: what one of
    /// them sets of [context variables](crate::ContextVar) the next one finds. It is a copy of the caller's, made at the
    /// first run, or when the [`handle`](Self::handle) is first asked for.
    ///
    /// # Errors
    /// [`RunError::Cancelled`] if `main` was cancelled, [`RunError::Interrupted`] if that was Ctrl-C;
    /// [`RunError::Stopped`] if `stop()` was called first; [`RunError::AlreadyRunning`] inside of a running loop;
    /// [`RunError::Closed`] after [`close`](Self::close); [`RunError::Stuck`] if the loop was built to
    /// [detect](crate::Builder::detect_stuck) that; [`RunError::Io`] if the system's wait fails.
    ///
    /// # Panics
    /// If `main` panics: the panic goes on here.
    ///
    /// # asyncio
    /// `runner.run(main())`.
    #[track_caller]
    pub fn run<F: IntoFuture>(&mut self, main: F) -> Result<F::Output, RunError> {
        let (location, base) = (Location::caller(), self.base());
        let Some(event_loop) = &mut self.event_loop else { return Err(RunError::Closed) };
        let run = event_loop.begin_main(main, location, base.clone())?;
        self.context.get_or_init(|| base);
        finish(run, &self.handle, self.settings, &mut self.at_once, self.context.get_mut())
    }

    /// As [`run`](Self::run), with `main` in a context of the caller's choice instead of the one that all other mains
    /// share: in this very one, so that what `main` sets is seen in it afterwards.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If `main` panics: the panic goes on here.
    ///
    /// # asyncio
    /// `runner.run(main(), context=context)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{ContextVar, Runner, context::Context};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let mut runner = Runner::new()?;
    /// let request = Context::new();
    /// runner.run_in(&request, async { drop(USER.set("ann")) })?;
    /// assert_eq!(request.get(&USER), Some("ann"));
    /// assert_eq!(runner.run_in(&request, async { USER.get() })?, Some("ann"));
    /// assert_eq!(runner.run(async { USER.get() })?, None, "the others do not see it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run_in<F: IntoFuture>(&mut self, context: &Context, main: F) -> Result<F::Output, RunError> {
        let (location, base) = (Location::caller(), self.base());
        let Some(event_loop) = &mut self.event_loop else { return Err(RunError::Closed) };
        let run = event_loop.begin_main(main, location, Some(context.clone()))?;
        self.context.get_or_init(|| base);
        finish(run, &self.handle, self.settings, &mut self.at_once, None)
    }

    /// The context of all mains; of a runner that was not used yet, what it is if this use is not refused.
    fn base(&self) -> Option<Context> {
        self.context.get().cloned().unwrap_or_else(captured_context)
    }

    /// The loop, for its own thread.
    ///
    /// # asyncio
    /// `runner.get_loop()`. As there, the first use of a runner settles in which [context](Self::run) its mains run.
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        self.context.get_or_init(captured_context);
        self.handle.clone()
    }

    /// Ends all that is left and drops the loop; nothing happens the second time. A runner that is dropped does
    /// the same.
    ///
    /// Every unfinished task is cancelled once, and the loop runs until they have ended, cleanups that await
    /// included; panics are told to the exception handler. [`grace`](RunnerBuilder::grace) limits that, and so does Ctrl-C.
    /// A cleanup that calls [`stop`](LoopHandle::stop) ends that too, and what is left is dropped.
    /// Jobs of [`to_thread`](crate::to_thread) are not waited for: those that were not begun are dropped, those that run
    /// are counted, reported and left behind.
    ///
    /// # Errors
    /// [`RunError::Interrupted`] by Ctrl-C, [`RunError::Io`] if the system's wait fails, [`RunError::Stuck`] if a cleanup
    /// is and the loop was built to detect that, [`RunError::AlreadyRunning`] inside of a running loop; the loop is
    /// closed all the same, and what is left is dropped.
    ///
    /// # asyncio
    /// `runner.close()`, which waits for executor threads, 300 seconds at most.
    pub fn close(&mut self) -> Result<(), RunError> {
        let Some(mut event_loop) = self.event_loop.take() else { return Ok(()) };
        let ended = if self.at_once { Ok(()) } else { shutdown::end_tasks(&mut event_loop, self.settings) };
        shutdown::leave_jobs(&self.handle);
        ended
    }

    /// Closes it after its only run.
    pub(super) fn close_after<T>(&mut self, output: &Result<T, RunError>) -> Result<(), RunError> {
        // Nothing was begun, or nothing can end by itself.
        self.at_once |= matches!(output, Err(RunError::AlreadyRunning | RunError::Stuck(_)));
        self.close()
    }
}

/// Runs a main that has begun until it ends, with an eye on Ctrl-C, and leaves its context in `context`. The future is in its
/// task by now: this frame is small while it is polled.
fn finish<T>(
    run: MainRun<'_, T>,
    handle: &LoopHandle,
    settings: Settings,
    at_once: &mut bool,
    context: Option<&mut Option<Context>>,
) -> Result<T, RunError> {
    *at_once = false;
    if !settings.handle_sigint {
        return run.run_and_keep(context);
    }
    let interrupted = Interrupted::new();
    let interrupts = interrupted.cancels(run.task(), handle);
    let output = run.run_and_keep(context);
    drop(interrupts);
    *at_once = interrupted.twice();
    interrupted.settle(output)
}

impl Drop for Runner {
    fn drop(&mut self) {
        // As in asyncio, the others may clean up although main has failed, by a panic that goes on after this.
        let _ = self.close();
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}
