//! The loop: its turn and its life.
//!
//! A turn asks the outside (descriptors, mail, clock) and then runs what is ready, in asyncio's order:
//! what was ready before, then I/O, then mail, then timers. Asking the kernel costs twenty steps of a
//! task, so while there is work the outside is asked at batch boundaries only, once per *stretch* of up
//! to 64 steps; the length adapts so that a stretch lasts about 100 microseconds at most.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::clock::real_now;
use super::context::{Home, LoopRef, Shared, with_current};
use super::debug::{DebugReport, Stuck};
use super::loop_handle::LoopHandle;
use super::outside::{ask, fire_timers};
use super::reactor::Punctual;
use super::report::guarded;
use super::run_error::RunError;
use super::spin::Spin;
use super::task::{BorrowedTask, TaskError, TaskRef, captured_context, close_all, live_tasks, probe_tasks};
use super::variables::Context;

/// Most steps between two looks outside.
const LONGEST_STRETCH: u32 = 64;
/// A stretch that took longer is halved, one that took less than a quarter of it doubled.
const STRETCH_TIME: Duration = Duration::from_micros(100);
/// How long nothing at all must happen in real time before a loop on the virtual clock counts as stuck:
/// another thread may hold a waker.
const SILENCE: Duration = Duration::from_secs(1);

/// How a loop turns; set by the `Builder`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Fixed number of steps between two looks outside, or adaptive.
    pub(super) stretch: Option<u32>,
    pub(super) timer_slack: bool,
    /// Report a loop on which nothing can ever happen again instead of waiting for ever.
    pub(super) detect_stuck: bool,
}

/// An event loop, for embedding; programs use [`run`](crate::run).
///
/// It belongs to the thread that made it. Dropping it drops all its tasks, in order of creation, and all
/// callbacks and timers, without running them.
///
/// # asyncio
/// `asyncio.new_event_loop()`. Its scheduling methods are on [`LoopHandle`].
///
/// # Examples
/// ```
/// let mut event_loop = evloop::EventLoop::new()?;
/// let handle = event_loop.handle();
/// handle.call_soon({
///     let handle = handle.clone();
///     move || handle.stop()
/// });
/// event_loop.run_forever()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EventLoop {
    loop_ref: LoopRef,
    settings: Settings,
    stretch: Cell<u32>,
    spin: Spin,
    /// When the last look was made, if the stretch since then is worth measuring.
    stretch_began: Cell<Option<Instant>>,
}

impl EventLoop {
    pub(super) fn with(shared: Shared, home: Home, settings: Settings) -> Self {
        let stretch = Cell::new(settings.stretch.unwrap_or(LONGEST_STRETCH));
        Self {
            loop_ref: LoopRef::new(shared, home),
            settings,
            stretch,
            spin: Spin::new(),
            stretch_began: Cell::new(None),
        }
    }

    /// A handle to schedule things with.
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        LoopHandle::new(self.loop_ref.clone())
    }

    /// As [`LoopHandle::stop`]. A callback or another task calls it by the handle.
    pub fn stop(&self) {
        self.handle().stop();
    }

    /// Runs `main` as a task until it ends, and the loop's other tasks meanwhile; they stay in the loop.
    ///
    /// `main` may borrow: it and its output are dropped before this returns. What its last step made
    /// ready still runs (one batch), what that makes ready waits for the next run. Give it `&mut task` to
    /// go on with a task that a former run left unfinished.
    ///
    /// # Errors
    /// [`RunError::Stopped`] if [`stop`](LoopHandle::stop) was called first (`main` is dropped),
    /// [`RunError::Cancelled`] if `main` was cancelled, [`RunError::AlreadyRunning`] inside of a running
    /// loop, [`RunError::Stuck`] if the loop was built to [detect](crate::Builder::detect_stuck) that,
    /// [`RunError::Io`] if the system's wait fails.
    ///
    /// # Panics
    /// If `main` panics: the panic goes on here.
    ///
    /// # asyncio
    /// `loop.run_until_complete(main)`.
    #[track_caller]
    pub fn run_until_complete<F: IntoFuture>(&mut self, main: F) -> Result<F::Output, RunError> {
        self.begin_main(main, Location::caller(), captured_context())?.run()
    }

    /// Enters the loop and makes a task of `main`, which runs in `context` if that is not an empty one. A call of its
    /// own, since it moves a future about that may be large: the room that takes on the stack is free again while the
    /// future is polled.
    pub(crate) fn begin_main<'a, F: IntoFuture + 'a>(
        &'a mut self,
        main: F,
        location: &'static Location<'static>,
        context: Option<Context>,
    ) -> Result<MainRun<'a, F::Output>, RunError> {
        let running = Running::start(self, self.settings.timer_slack)?;
        let home = running.entered.home().ok_or_else(closed)?;
        let task = BorrowedTask::spawn(&self.loop_ref, home, main.into_future(), location, context);
        Ok(MainRun { task, running })
    }

    /// Runs until [`stop`](LoopHandle::stop) is called; if it was called before, for one iteration.
    ///
    /// # Errors
    /// [`RunError::AlreadyRunning`] inside of a running loop, [`RunError::Stuck`] if the loop was built to
    /// [detect](crate::Builder::detect_stuck) that, [`RunError::Io`] if the system's wait fails.
    ///
    /// # asyncio
    /// `loop.run_forever()`.
    pub fn run_forever(&mut self) -> Result<(), RunError> {
        Running::start(self, self.settings.timer_slack)?.turn_until_stopped()
    }

    /// Makes one turn: waits for at most `timeout` (`None`: until something happens) unless something is
    /// ready, and runs what is. For hosts with a loop of their own: watch [`AsFd`](std::os::fd::AsFd) for
    /// reading and call this when it is readable or [`next_deadline`](Self::next_deadline) has come. A ring
    /// of the bell ends the wait, also one that is no news any more.
    ///
    /// # Errors
    /// As [`run_forever`](Self::run_forever).
    pub fn run_once(&mut self, timeout: Option<Duration>) -> Result<(), RunError> {
        // The thread's timer slack is the host's business: it has waits of its own.
        let running = Running::start(self, false)?;
        running.turn(timeout)?;
        // A stop asks for the end of a run, and this one ends anyway.
        running.with_home(|home| home.stopping.set(false))
    }

    /// When the loop needs its next turn: now, if something is ready; `None` if only something from
    /// outside (a descriptor, another thread) can make it go on.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let shared = self.loop_ref.cell().shared();
        self.loop_ref
            .with(|home| {
                if !home.ready.is_empty() || shared.inbox.has_mail() || home.stopping.get() {
                    return Some(home.time.now());
                }
                home.timers.next_deadline().map(|ns| home.time.instant(ns))
            })
            .flatten()
    }

    /// Ends all that is left as [`run`](crate::run) does at its end: cancels every unfinished task once
    /// and runs until they have ended, cleanups that await included.
    ///
    /// # Errors
    /// As [`run_forever`](Self::run_forever), and [`RunError::Stopped`] if a cleanup calls `stop()`.
    pub fn cancel_all_tasks(&mut self) -> Result<(), RunError> {
        self.cancel_all_tasks_until(&Cell::new(false))
    }

    /// As [`cancel_all_tasks`](Self::cancel_all_tasks), and returns as well once somebody says that it is enough.
    pub(crate) fn cancel_all_tasks_until(&mut self, enough: &Cell<bool>) -> Result<(), RunError> {
        let running = Running::start(self, self.settings.timer_slack)?;
        let mut left = running.with_home(live_tasks)?;
        for task in &left {
            task.cancel();
        }
        loop {
            while left.last().is_some_and(TaskRef::done) {
                left.pop();
            }
            if left.is_empty() || enough.get() {
                return Ok(());
            }
            running.turn(None)?;
            if running.with_home(|home| home.stopping.replace(false))? {
                return Err(RunError::Stopped);
            }
        }
    }

    fn close(&mut self) {
        if self.loop_ref.is_closed() {
            return;
        }
        let entered = self.loop_ref.enter();
        if let Some(home) = entered.home() {
            home.closing.set(true);
            for letter in self.loop_ref.cell().shared().inbox.close() {
                guarded("a callback panicked when it was dropped", || letter.discard());
            }
            let mut told_of = false;
            // Drops run foreign code, which may schedule more: until nothing is left.
            loop {
                let (watchers, numbers) = home.slots.close();
                for number in numbers {
                    // It fails if the descriptor was closed behind our back.
                    let _ = self.loop_ref.cell().shared().poller.delete(number);
                }
                guarded("a waker or a callback panicked when it was dropped", || drop(watchers));
                told_of = told_of || tell_of_pending(home);
                close_all(home);
                home.ready.discard_all();
                let alarm = home.timers.take_any();
                if alarm.is_none() && home.ready.is_empty() && home.live.borrow().is_empty() {
                    break;
                }
                drop(alarm);
            }
            let handler = home.handler.borrow_mut().take();
            guarded("an exception handler panicked when it was dropped", || drop(handler));
            let extensions = std::mem::take(&mut *home.extensions.borrow_mut());
            guarded("a loop's extension panicked when it was dropped", || drop(extensions));
        }
        self.loop_ref.close();
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("id", &self.loop_ref.cell().shared().id).finish_non_exhaustive()
    }
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "illumos",
    target_os = "solaris",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
))]
impl std::os::fd::AsFd for EventLoop {
    /// Readable when the loop needs a turn for something other than a deadline.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.loop_ref.cell().shared().poller.as_fd()
    }
}

/// A run of a main task that has begun, and of the loop. Dropped, both end: the task first.
pub(crate) struct MainRun<'a, T> {
    task: BorrowedTask<'a, T>,
    running: Running<'a>,
}

impl<T> MainRun<'_, T> {
    pub(crate) fn task(&self) -> &TaskRef {
        self.task.task_ref()
    }

    /// Runs until the task has ended.
    pub(crate) fn run(self) -> Result<T, RunError> {
        self.run_and_keep(None)
    }

    /// As [`run`](Self::run), and leaves what the task has for a context in `context`.
    pub(crate) fn run_and_keep(mut self, context: Option<&mut Option<Context>>) -> Result<T, RunError> {
        // It may be scheduled already when somebody else stops this run; the next is not its business.
        let over = Rc::new(Cell::new(false));
        let callback = self.task().add_done_callback({
            let (over, handle) = (over.clone(), self.running.event_loop.handle());
            move |_| {
                if !over.get() {
                    handle.stop();
                }
            }
        });
        let result = self.running.turn_until_stopped();
        over.set(true);
        self.task().remove_done_callback(callback);
        if let Some(context) = context {
            *context = self.task().context_if_any();
        }
        result?;
        match self.task.take_result() {
            Some(Ok(value)) => Ok(value),
            Some(Err(TaskError::Cancelled(error))) => Err(RunError::Cancelled(error)),
            Some(Err(TaskError::Panicked(panic))) => {
                drop(self);
                panic.resume()
            }
            None => Err(RunError::Stopped),
        }
    }
}

/// A loop that runs on this thread; stops being the current one when dropped.
struct Running<'a> {
    event_loop: &'a EventLoop,
    entered: super::home_cell::Entered<Shared, Home>,
    _punctual: Punctual,
    /// Whether the kernel was asked in passing since the run began.
    has_asked: Cell<bool>,
}

impl<'a> Running<'a> {
    fn start(event_loop: &'a EventLoop, punctual: bool) -> Result<Self, RunError> {
        if with_current(|_, _| ()).is_some() {
            return Err(RunError::AlreadyRunning);
        }
        let entered = event_loop.loop_ref.enter();
        let has_asked = Cell::new(false);
        let running = Self { event_loop, entered, _punctual: Punctual::new(punctual), has_asked };
        running.with_home(|home| {
            home.running.set(true);
            home.turning.set(true);
        })?;
        running.shared().inbox.wake_up();
        Ok(running)
    }

    fn shared(&self) -> &Shared {
        self.event_loop.loop_ref.cell().shared()
    }

    fn with_home<R>(&self, f: impl FnOnce(&Home) -> R) -> Result<R, RunError> {
        self.entered.home().map(f).ok_or_else(closed)
    }

    fn turn_until_stopped(&self) -> Result<(), RunError> {
        loop {
            self.turn(None)?;
            if self.with_home(|home| home.stopping.replace(false))? {
                return Ok(());
            }
        }
    }

    /// One turn; `limit` bounds the wait (`None`: as long as it takes).
    fn turn(&self, limit: Option<Duration>) -> Result<(), RunError> {
        let home = self.entered.home().ok_or_else(closed)?;
        let shared = self.shared();
        let mut timers_fire = self.look(home, shared, limit)?;
        let mut steps = 0;
        loop {
            if shared.inbox.has_mail() && steps > 0 {
                home.collect_mail(shared);
            }
            home.turns.set(home.turns.get() + 1);
            steps += if home.debug.is_on() {
                home.ready.run_batch_watched(&home.debug)
            } else {
                home.ready.run_batch()
            };
            if home.stopping.get() || steps >= self.event_loop.stretch.get() {
                break;
            }
            if home.ready.is_empty() {
                // Where timers come thick and fast, the next are due by now: that takes a look at the clock,
                // not one at the kernel.
                timers_fire = timers_fire && fire_timers(home);
                if !timers_fire {
                    break;
                }
            }
        }
        if home.ready.is_empty() {
            self.event_loop.stretch_began.set(None);
        }
        Ok(())
    }

    /// Asks the outside: waits if there is nothing to do, then collects mail and fires timers.
    /// Says whether any timer was due.
    fn look(&self, home: &Home, shared: &Shared, limit: Option<Duration>) -> Result<bool, RunError> {
        if home.time.is_virtual() {
            self.wait_virtual(home, shared, limit)?;
        } else {
            self.wait(home, shared, limit)?;
        }
        if shared.inbox.has_mail() {
            home.collect_mail(shared);
        }
        Ok(fire_timers(home))
    }

    fn wait(&self, home: &Home, shared: &Shared, limit: Option<Duration>) -> Result<(), RunError> {
        if !home.ready.is_empty() || home.stopping.get() {
            return self.look_in_passing(home, shared);
        }
        // Most servers have timers only now and then: asking whether there are any is cheaper than for the next.
        let next = if home.timers.is_empty() { None } else { home.timers.next_deadline() };
        let timeout = next.map(|deadline| Duration::from_nanos(deadline.saturating_sub(home.time.now_ns())));
        let timeout = shortest(timeout, limit);
        if timeout.is_none() && home.debug.is_on() {
            return self.sleep_in_debug_mode(home, shared);
        }
        self.sleep(home, shared, timeout)
    }

    /// Asks the kernel without waiting. Where no descriptor is registered it has nothing to say but, once, that the
    /// bell was rung before this run began: mail is looked for after each batch.
    #[inline]
    fn look_in_passing(&self, home: &Home, shared: &Shared) -> Result<(), RunError> {
        let asks = !self.has_asked.replace(true) || !home.slots.is_empty();
        if asks || !home.timers.is_empty() {
            self.adapt_stretch();
        } else {
            self.event_loop.stretch_began.set(None);
        }
        if asks {
            ask(home, shared, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Blocks, with no end in sight: a silence that nobody can break any more is told of.
    #[cold]
    fn sleep_in_debug_mode(&self, home: &Home, shared: &Shared) -> Result<(), RunError> {
        use std::sync::atomic::Ordering;
        let may_be_woken = || {
            shared.jobs.load(Ordering::Acquire) > 0
                || shared.proxies.load(Ordering::Acquire) > 0
                || home.slots.waiting() > home.debug.background.get()
        };
        if may_be_woken() || home.debug.told_stuck().get() {
            return self.sleep(home, shared, None);
        }
        if self.is_silent(home, shared)? {
            let tasks = probe_tasks(home);
            if may_be_woken() {
                // A wait for other threads that began before debug mode was on is counted from now on.
                return Ok(());
            }
            home.debug.told_stuck().set(true);
            if !tasks.is_empty() {
                home.debug.tell(&DebugReport::Stuck(Stuck::new(tasks)));
            }
        }
        // The next look sleeps on; or runs what was made ready by asking.
        Ok(())
    }

    /// Whether nobody says anything for a while.
    fn is_silent(&self, home: &Home, shared: &Shared) -> Result<bool, RunError> {
        use std::sync::atomic::Ordering;
        let began = real_now();
        self.sleep(home, shared, Some(SILENCE))?;
        // A late ring or a signal ends the wait early: that is not silence.
        let silent = began.elapsed() >= SILENCE;
        Ok(silent
            && home.ready.is_empty()
            && !shared.inbox.has_mail()
            && shared.jobs.load(Ordering::Acquire) == 0)
    }

    /// Blocks, unless mail has come.
    fn sleep(&self, home: &Home, shared: &Shared, mut timeout: Option<Duration>) -> Result<(), RunError> {
        let spin = &self.event_loop.spin;
        if spin.watch(&mut timeout, || shared.inbox.has_mail().then_some(())).is_some() {
            return self.look_in_passing(home, shared);
        }
        let may_sleep = shared.inbox.fall_asleep();
        let timeout = if may_sleep { timeout } else { Some(Duration::ZERO) };
        let result = ask(home, shared, timeout);
        shared.inbox.wake_up();
        spin.slept(shared.inbox.has_mail());
        Ok(result?)
    }

    /// Virtual time jumps only when nothing else can happen; real things move it at real pace.
    fn wait_virtual(&self, home: &Home, shared: &Shared, limit: Option<Duration>) -> Result<(), RunError> {
        use std::sync::atomic::Ordering;
        if !home.ready.is_empty() || home.stopping.get() {
            return Ok(ask(home, shared, Some(Duration::ZERO))?);
        }
        let next = home.timers.next_deadline();
        if shared.jobs.load(Ordering::Acquire) > 0 {
            // A pool job takes no virtual time: it stands still until the job rings.
            return self.sleep(home, shared, limit);
        }
        let now = home.time.now_ns();
        if shared.proxies.load(Ordering::Acquire) > 0 || home.slots.waiting() > 0 {
            let timeout = next.map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
            let began = real_now();
            self.sleep(home, shared, shortest(timeout, limit))?;
            home.time.advance_to(now.saturating_add(super::clock::nanos(began.elapsed())));
            return Ok(());
        }
        // Whoever may have something to say has had the chance.
        self.sleep(home, shared, Some(Duration::ZERO))?;
        if shared.inbox.has_mail() {
            return Ok(());
        }
        match next {
            Some(deadline)
                if limit.is_none_or(|l| now.saturating_add(super::clock::nanos(l)) >= deadline) =>
            {
                home.time.advance_to(deadline);
                Ok(())
            }
            _ if limit.is_some() => {
                home.time.advance_to(now.saturating_add(super::clock::nanos(limit.unwrap_or_default())));
                Ok(())
            }
            _ if self.event_loop.settings.detect_stuck => match self.is_silent(home, shared)? {
                true => Err(RunError::Stuck(Stuck::new(probe_tasks(home)))),
                false => Ok(()),
            },
            _ if home.debug.is_on() => self.sleep_in_debug_mode(home, shared),
            _ => self.sleep(home, shared, None),
        }
    }

    /// Measures the stretch that ends here and sets the length of the next.
    fn adapt_stretch(&self) {
        if self.event_loop.settings.stretch.is_some() {
            return;
        }
        let now = real_now();
        if let Some(began) = self.event_loop.stretch_began.replace(Some(now)) {
            let (took, steps) = (now - began, self.event_loop.stretch.get());
            if took > STRETCH_TIME {
                self.event_loop.stretch.set((steps / 2).max(1));
            } else if took < STRETCH_TIME / 4 {
                self.event_loop.stretch.set((steps * 2).min(LONGEST_STRETCH));
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(home) = self.entered.home() {
            home.running.set(false);
            home.turning.set(false);
            // From here on the host watches the bell: whoever comes must ring, and what has come already
            // rings now.
            if !self.shared().inbox.fall_asleep() || !home.ready.is_empty() {
                self.shared().poller.ring();
            }
        }
    }
}

/// Tells, in debug mode, which tasks a loop that is closed leaves behind.
fn tell_of_pending(home: &Home) -> bool {
    if home.debug.is_on() {
        for task in live_tasks(home) {
            home.debug.tell(&DebugReport::DroppedPending { task: task.info() });
        }
    }
    true
}

#[cold]
fn closed() -> RunError {
    RunError::Closed
}

fn shortest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
