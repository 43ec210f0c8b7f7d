//! How a runner is to be.

use std::io;
use std::time::Duration;

use super::life::Runner;
use crate::kernel::{Builder, EventLoop};

/// Settings for a [`Runner`], all with defaults.
///
/// # Examples
/// ```
/// use evloop::{Clock, EventLoop, Runner, sleep, time::{millis, secs}};
///
/// let mut runner = Runner::builder()
///     .event_loop(EventLoop::builder().clock(Clock::Virtual))
///     .grace(millis(500))
///     .build()?;
/// runner.run(sleep(secs(3600)))?;
/// runner.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct RunnerBuilder {
    event_loop: Builder,
    debug: Option<bool>,
    pub(super) settings: Settings,
}

/// What is the runner's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) grace: Option<Duration>,
    pub(super) handle_sigint: bool,
}

impl RunnerBuilder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            event_loop: EventLoop::builder(),
            debug: None,
            settings: Settings { grace: None, handle_sigint: true },
        }
    }

    /// The settings of the loop.
    ///
    /// # asyncio
    /// `Runner(loop_factory=…)`.
    pub fn event_loop(mut self, builder: Builder) -> Self {
        self.event_loop = builder;
        self
    }

    /// As [`Builder::eager_tasks`].
    ///
    /// # asyncio
    /// `loop.set_task_factory(asyncio.eager_task_factory)`.
    pub fn eager_tasks(mut self, eager: bool) -> Self {
        self.event_loop = self.event_loop.eager_tasks(eager);
        self
    }

    /// How much of the loop's time the tasks that are left have for their cleanups when the runner is closed.
    /// Whoever is not done then is named to the exception handler, with the place where the task was created,
    /// and dropped. By default there is no limit but Ctrl-C.
    pub fn grace(mut self, time: Duration) -> Self {
        self.settings.grace = Some(time);
        self
    }

    /// Whether to do about Ctrl-C what [`Runner`] says. On by default; off, SIGINT is left alone.
    pub fn handle_sigint(mut self, handle: bool) -> Self {
        self.settings.handle_sigint = handle;
        self
    }

    /// Whether to look out for what goes wrong without an error: as [`Builder::debug`](crate::Builder::debug), and
    /// whatever the loop's settings say.
    ///
    /// # asyncio
    /// `Runner(debug=…)`.
    pub fn debug(mut self, on: bool) -> Self {
        self.debug = Some(on);
        self
    }

    /// Makes the runner and its loop; this thread becomes their home.
    ///
    /// # Errors
    /// If the system refuses a poller: no descriptors left.
    pub fn build(self) -> io::Result<Runner> {
        let event_loop = match self.debug {
            Some(on) => self.event_loop.debug(on),
            None => self.event_loop,
        };
        Ok(Runner::with(event_loop.build()?, self.settings))
    }
}

impl Default for RunnerBuilder {
    fn default() -> Self {
        Self::new()
    }
}
