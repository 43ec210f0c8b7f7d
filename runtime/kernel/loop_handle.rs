//! The handle to a loop, for its own thread.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::clock::real_now;
use super::context::{LoopRef, RemoteRef, current_loop, with_current, with_current_loop};
use super::exception::ErrorContext;
use super::proxy::LoopProxy;
use super::task::callback::{Callback, Handle};
use super::task::{Task, TaskBuilder, TaskRef, captured_context, live_tasks, spawn, spawn_with};
use super::timer_handle::TimerHandle;
use super::variables::Context;

const CLOSED: &str = "the event loop is closed; keep the EventLoop alive as long as its handles are used";

/// The loop, for its own thread: schedule callbacks and tasks, read its time, stop it.
///
/// Cheap to clone. It does not keep the loop going. While the [`EventLoop`](crate::EventLoop) is being
/// dropped, new tasks are born cancelled and new callbacks are dropped; afterwards `create_task` panics.
///
/// # asyncio
/// What `asyncio.get_running_loop()` returns.
#[derive(Clone)]
pub struct LoopHandle {
    loop_ref: LoopRef,
}

impl LoopHandle {
    pub(super) fn new(loop_ref: LoopRef) -> Self {
        Self { loop_ref }
    }

    /// The loop this code runs in.
    pub(crate) fn current() -> Option<Self> {
        current_loop().map(|loop_ref| Self { loop_ref })
    }

    /// Starts a task: its first step is at the end of the FIFO.
    ///
    /// # Panics
    /// If the loop was dropped.
    ///
    /// # asyncio
    /// `loop.create_task(coro)`.
    #[track_caller]
    pub fn create_task<F: Future + 'static>(&self, future: F) -> Task<F::Output> {
        self.spawn_at(future, Location::caller())
    }

    /// As [`create_task`](Self::create_task), with a name, in a certain context, or at once.
    ///
    /// # Panics
    /// If the loop was dropped.
    ///
    /// # asyncio
    /// `loop.create_task(coro, name=…, context=…, eager_start=…)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{EventLoop, Task};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.handle().create_task_with(Task::builder().name("later"), async {});
    /// assert_eq!(&*task.name(), "later");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn create_task_with<F: Future + 'static>(&self, builder: TaskBuilder, future: F) -> Task<F::Output> {
        self.spawn_with_at(future, Location::caller(), builder)
    }

    #[track_caller]
    fn spawn_at<F: Future + 'static>(
        &self,
        future: F,
        location: &'static Location<'static>,
    ) -> Task<F::Output> {
        let shared = self.loop_ref.cell().shared();
        self.loop_ref
            .with(|home| {
                home.mail_first(shared);
                spawn(&self.loop_ref, home, future, location)
            })
            .expect(CLOSED)
    }

    #[track_caller]
    fn spawn_with_at<F: Future + 'static>(
        &self,
        future: F,
        location: &'static Location<'static>,
        builder: TaskBuilder,
    ) -> Task<F::Output> {
        let shared = self.loop_ref.cell().shared();
        self.loop_ref
            .with(|home| {
                home.mail_first(shared);
                spawn_with(&self.loop_ref, home, future, location, builder)
            })
            .expect(CLOSED)
    }

    /// Calls `f` in the next iteration, in order of the calls. It sees the [context variables](crate::ContextVar)
    /// as they are at this call, and so do all the callbacks below.
    ///
    /// # asyncio
    /// `loop.call_soon(f)`.
    #[track_caller]
    pub fn call_soon(&self, f: impl FnOnce() + 'static) -> Handle {
        self.call_soon_in(captured_context(), f)
    }

    /// As [`call_soon`](Self::call_soon), for a callback that has its context from elsewhere.
    #[track_caller]
    pub(crate) fn call_soon_in(&self, context: Option<Context>, f: impl FnOnce() + 'static) -> Handle {
        let shared = self.loop_ref.cell().shared();
        let callback = Callback::new_at(f, Location::caller()).within(context);
        let handle = callback.handle();
        self.loop_ref.with(|home| {
            if !home.closing.get() {
                home.mail_first(shared);
                callback.schedule(home);
                home.ring_if_idle(shared);
            }
        });
        handle
    }

    /// Calls `f` after `delay`.
    ///
    /// # asyncio
    /// `loop.call_later(delay, f)`.
    #[track_caller]
    pub fn call_later(&self, delay: Duration, f: impl FnOnce() + 'static) -> TimerHandle {
        let now = self.time();
        self.call_at(now.checked_add(delay).unwrap_or_else(|| far_from(now)), f)
    }

    /// Calls `f` at a time of the loop's clock, exactly once, never earlier. Ties are first come, first
    /// served.
    ///
    /// # asyncio
    /// `loop.call_at(when, f)`, where ties have no order.
    #[track_caller]
    pub fn call_at(&self, when: Instant, f: impl FnOnce() + 'static) -> TimerHandle {
        let callback = Callback::new_at(f, Location::caller()).within(captured_context());
        let handle = callback.handle();
        let key = self.loop_ref.with(|home| {
            (!home.closing.get()).then(|| {
                let key = home.timers.insert(home.time.ns(when), callback.into_alarm());
                home.ring_if_idle(self.loop_ref.cell().shared());
                key
            })
        });
        TimerHandle::new(handle, when, key.flatten(), self.loop_ref.clone())
    }

    /// The loop's time.
    ///
    /// # asyncio
    /// `loop.time()`.
    #[must_use]
    pub fn time(&self) -> Instant {
        self.loop_ref.with(|home| home.time.now()).unwrap_or_else(real_now)
    }

    /// Ends the present [`run_forever`](crate::EventLoop::run_forever) or
    /// [`run_until_complete`](crate::EventLoop::run_until_complete) after this iteration, or the next one after
    /// its first.
    ///
    /// # asyncio
    /// `loop.stop()`.
    pub fn stop(&self) {
        self.loop_ref.with(|home| {
            home.stopping.set(true);
            home.ring_if_idle(self.loop_ref.cell().shared());
        });
    }

    /// Whether the loop is inside one of its `run` methods.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.loop_ref.with(|home| home.running.get()).unwrap_or(false)
    }

    /// Whether the [`EventLoop`](crate::EventLoop) was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.loop_ref.is_closed()
    }

    /// How many iterations the loop has made: batches of ready tasks and callbacks. The first step of
    /// the first task is in iteration 1.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.loop_ref.with(|home| home.turns.get()).unwrap_or(0)
    }

    /// The unfinished tasks, in order of creation.
    ///
    /// # asyncio
    /// `asyncio.all_tasks(loop)`.
    #[must_use]
    pub fn all_tasks(&self) -> Vec<TaskRef> {
        self.loop_ref.with(live_tasks).unwrap_or_default()
    }

    /// What other threads talk to this loop with.
    #[must_use]
    pub fn proxy(&self) -> LoopProxy {
        LoopProxy::new(RemoteRef::new(&self.loop_ref))
    }

    /// Sets who is told about panics that nobody else sees: in callbacks, in destructors, in tasks that
    /// nobody awaits. Without a handler they go to standard error. A handler that panics itself is told to
    /// standard error, together with what it was called for.
    ///
    /// # asyncio
    /// `loop.set_exception_handler(handler)`.
    pub fn set_exception_handler(&self, handler: impl Fn(&ErrorContext<'_>) + 'static) {
        let former = self.loop_ref.with(|home| home.handler.borrow_mut().replace(Rc::new(handler)));
        drop(former);
    }

    /// Back to standard error.
    ///
    /// # asyncio
    /// `loop.set_exception_handler(None)`.
    pub fn reset_exception_handler(&self) {
        let former = self.loop_ref.with(|home| home.handler.borrow_mut().take());
        drop(former);
    }

    /// Whether the loop is in [debug mode](crate::debug).
    ///
    /// # asyncio
    /// `loop.get_debug()`.
    #[must_use]
    pub fn get_debug(&self) -> bool {
        self.loop_ref.with(|home| home.debug.is_on()).unwrap_or(false)
    }

    /// Turns [debug mode](crate::debug) on or off, from the next iteration on.
    ///
    /// # asyncio
    /// `loop.set_debug(on)`.
    pub fn set_debug(&self, on: bool) {
        self.loop_ref.with(|home| home.debug.set(on));
    }

    /// How long a step or a callback may take in debug mode.
    ///
    /// # asyncio
    /// `loop.slow_callback_duration`.
    #[must_use]
    pub fn slow_callback_duration(&self) -> Duration {
        self.loop_ref.with(|home| home.debug.slow()).unwrap_or(super::debug::SLOW)
    }

    /// Says how long a step or a callback may take in debug mode; it counts for the one that runs, too.
    ///
    /// # asyncio
    /// `loop.slow_callback_duration = …`.
    pub fn set_slow_callback_duration(&self, duration: Duration) {
        self.loop_ref.with(|home| home.debug.set_slow(duration));
    }

    pub(crate) fn loop_ref(&self) -> &LoopRef {
        &self.loop_ref
    }

    /// Registered descriptors and waiters of them: for leak checks.
    #[doc(hidden)]
    #[must_use]
    pub fn registrations(&self) -> (usize, usize) {
        self.loop_ref.with(|home| (home.slots.len(), home.slots.waiting())).unwrap_or_default()
    }

    /// Living scope nodes, roots included: for leak checks.
    #[doc(hidden)]
    #[must_use]
    pub fn scope_nodes(&self) -> usize {
        self.loop_ref.with(|home| home.scopes.borrow().len()).unwrap_or(0)
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("id", &self.loop_ref.cell().shared().id)
            .field("running", &self.is_running())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Starts a task in the loop this code runs in; outside of one, gives the future back.
pub(crate) fn spawn_here<F: Future + 'static>(
    future: F,
    location: &'static Location<'static>,
) -> Result<Task<F::Output>, F> {
    if with_current(|_, _| ()).is_none() {
        return Err(future);
    }
    let task = with_current_loop(|loop_ref, home| {
        home.mail_first(loop_ref.cell().shared());
        spawn(loop_ref, home, future, location)
    });
    Ok(task.expect(CLOSED))
}

/// As [`spawn_here`], with settings.
pub(crate) fn spawn_here_with<F: Future + 'static>(
    future: F,
    location: &'static Location<'static>,
    builder: TaskBuilder,
) -> Result<Task<F::Output>, F> {
    let Some(handle) = LoopHandle::current() else { return Err(future) };
    Ok(handle.spawn_with_at(future, location, builder))
}

/// A time so far away that nobody sees it come, where `now + delay` is beyond what `Instant` can hold.
pub(crate) fn far_from(now: Instant) -> Instant {
    now + Duration::from_secs(30 * 365 * 24 * 60 * 60)
}
