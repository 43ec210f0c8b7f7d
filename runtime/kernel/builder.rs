//! How a loop is to be.

use std::io;
use std::time::Duration;

use super::clock::{Clock, TimeSource};
use super::context::{Home, Shared};
use super::debug::{self, Debug, DebugReport, Sink};
use super::event_loop::{EventLoop, Settings};
use super::reactor::{PollMode, SharedPoller};

/// Settings for an [`EventLoop`], all with defaults.
///
/// # Examples
/// ```
/// use evloop::{Clock, EventLoop, sleep, time::secs};
///
/// let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build()?;
/// let hour = event_loop.run_until_complete(sleep(secs(3600)));
/// assert!(hour.is_ok(), "and it took no time at all");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct Builder {
    clock: Clock,
    portable_wait: bool,
    poll_mode: Option<PollMode>,
    shuffle: Option<u64>,
    settings: Settings,
    /// The environment decides if nobody else does.
    debug: Option<bool>,
    slow: Duration,
    sink: Sink,
    eager: bool,
}

impl Builder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            clock: Clock::Monotonic,
            portable_wait: false,
            poll_mode: None,
            shuffle: None,
            settings: Settings { stretch: None, timer_slack: true, detect_stuck: false },
            debug: None,
            slow: debug::SLOW,
            sink: Sink::default(),
            eager: false,
        }
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many steps may run before the loop looks at descriptors, other threads and the clock again,
    /// at the next batch boundary. By default up to 64, fewer if steps are slow. 1 is asyncio's once per
    /// iteration, and what a virtual clock always uses. 0 is taken as 1.
    pub fn steps_per_look(mut self, steps: u32) -> Self {
        self.settings.stretch = Some(steps.max(1));
        self
    }

    /// Whether to set the thread's timer slack to the least while the loop runs, so that sleeps end within
    /// microseconds of their deadline (Linux; on by default, restored afterwards).
    pub fn precise_timers(mut self, precise: bool) -> Self {
        self.settings.timer_slack = precise;
        self
    }

    /// Whether to wait through `polling` also where a faster way exists (Linux, Android). Off by default;
    /// for finding out whether a problem lies there. (One difference remains: it also hears of urgent data, which in
    /// the modes `Level` and `Oneshot` keeps a task awake that waits for a `peek`.)
    pub fn portable_wait(mut self, portable: bool) -> Self {
        self.portable_wait = portable;
        self
    }

    /// How sockets are registered with the system's poller. Where a mode does not exist, another takes its
    /// place. For measuring, and for finding out whether a problem lies there.
    pub fn poll_mode(mut self, mode: PollMode) -> Self {
        self.poll_mode = Some(mode);
        self
    }

    /// Whether to end with [`RunError::Stuck`](crate::RunError::Stuck) when nothing can happen any more:
    /// nothing is ready, no timer is set, no pool job or proxy exists, nobody waits for a descriptor, and for
    /// one real second nobody has rung. The error says what each task waits for and who waits for whom in a circle; each
    /// is polled once more for that. It works on the virtual clock, where tests use it; off by default.
    pub fn detect_stuck(mut self, detect: bool) -> Self {
        self.settings.detect_stuck = detect;
        self
    }

    /// Runs what is ready in one iteration in a random order, which the seed decides, instead of asyncio's
    /// first come, first served. `None`, the default, keeps that.
    ///
    /// For tests: what rests on the order of unrelated tasks fails under some seed, and fails again under the same.
    /// `#[evloop::test]` takes the seed from `EVLOOP_TEST_SEED` (see [`testing`](crate::testing)). What may not change
    /// does not: who waits in a line is called in his turn, and timers of different deadlines come in different
    /// iterations of a virtual clock.
    pub fn shuffle(mut self, seed: Option<u64>) -> Self {
        self.shuffle = seed;
        self
    }

    /// Whether to look out for what goes wrong without an error; see [`debug`](crate::debug). Without this, the variable
    /// `EVLOOP_DEBUG` decides, which is looked at when the loop is built: on, unless it is missing, empty or `0`.
    ///
    /// # asyncio
    /// `run(debug=True)`, `PYTHONASYNCIODEBUG`.
    pub fn debug(mut self, on: bool) -> Self {
        self.debug = Some(on);
        self
    }

    /// How long a step or a callback may take in [debug mode](Self::debug); 100 milliseconds by default.
    ///
    /// # asyncio
    /// `loop.slow_callback_duration`.
    pub fn slow_callback_duration(mut self, duration: Duration) -> Self {
        self.slow = duration;
        self
    }

    /// Who is told what [debug mode](Self::debug) finds; standard error by default. One that stands still is told of by
    /// a thread of its own, while the loop's thread is stuck: so do not wait for that one in here.
    pub fn on_debug_report(mut self, f: impl Fn(&DebugReport) + Send + Sync + 'static) -> Self {
        self.sink = Sink::new(f);
        self
    }

    /// Whether tasks have their first step inside of the call that creates them, as
    /// [`TaskBuilder::eager`](crate::TaskBuilder::eager) says, if that does not decide otherwise. Off by default.
    ///
    /// # asyncio
    /// `loop.set_task_factory(asyncio.eager_task_factory)`.
    pub fn eager_tasks(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// Makes the loop; this thread becomes its home.
    ///
    /// # Errors
    /// If the system refuses a poller: no descriptors left.
    pub fn build(self) -> io::Result<EventLoop> {
        let poller = SharedPoller::new(self.portable_wait, self.poll_mode)?;
        let time = TimeSource::new(self.clock);
        let mut settings = self.settings;
        if time.is_virtual() {
            settings.stretch = Some(1);
        }
        let debug = Debug::new(self.debug.unwrap_or_else(debug::wanted_by_environment), self.slow, self.sink);
        let shared = Shared::new(poller, time.is_virtual());
        let home = Home::new(time, debug);
        home.ready.shuffle(self.shuffle);
        home.eager.set(self.eager);
        Ok(EventLoop::with(shared, home, settings))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLoop {
    /// A loop on the system's clock, with default settings.
    ///
    /// # Errors
    /// If the system refuses a poller: no descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A loop with other settings.
    pub fn builder() -> Builder {
        Builder::new()
    }
}
