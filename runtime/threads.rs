//! Blocking work on other threads: a small named pool per loop.
//!
//! Threads are started when work waits and nobody is idle, up to a limit, and end after some idle time.
//! Jobs wait in one queue; one that was not begun when its future is dropped is never run. At the end of
//! [`run`](crate::run) nobody waits for those that run: they are counted and left behind.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::kernel::{
    JobTicket, LoopHandle, Travelling, probe, report_panic, run_in, travelling_context, with_current,
};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);
/// asyncio's limit: a few threads more than processors, since they mostly wait.
const MORE_THAN_PROCESSORS: usize = 4;
const MOST_THREADS: usize = 32;

/// It says itself when it is over, since that comes before its awaiter hears of it.
type Job = Box<dyn FnOnce(&PoolShared) + Send>;

/// A loop's pool.
pub(crate) struct Pool {
    shared: Arc<PoolShared>,
}

struct PoolShared {
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    named: usize,
    /// Functions that run.
    busy: usize,
    closed: bool,
}

impl PoolShared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // No foreign code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn new() -> Self {
        let shared = PoolShared { state: Mutex::default(), work: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a job; gives it back if there is no thread and none can be had.
    fn submit(&self, job: Job) -> Result<(), (Job, std::io::Error)> {
        let mut state = self.shared.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads >= most_threads() {
            drop(state);
            self.shared.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        state.named += 1;
        let name = format!("evloop-blocking-{}", state.named);
        drop(state);
        let shared = self.shared.clone();
        let Err(error) = thread::Builder::new().name(name).spawn(move || work(&shared)) else {
            return Ok(());
        };
        let mut state = self.shared.lock();
        state.threads -= 1;
        if state.threads > 0 {
            // It waits for one of those that are there.
            return Ok(());
        }
        match state.jobs.pop_back() {
            Some(job) => Err((job, error)),
            None => Ok(()),
        }
    }

    /// Refuses new work and drops what was not begun. Returns how many functions still run.
    pub(crate) fn shut_down(&self) -> usize {
        let mut state = self.shared.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.jobs);
        let running = state.busy;
        drop(state);
        self.shared.work.notify_all();
        for job in waiting {
            caught(|| drop(job));
        }
        running
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn most_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (processors + MORE_THAN_PROCESSORS).min(MOST_THREADS)
}

/// The life of a thread of the pool.
fn work(shared: &PoolShared) {
    let mut state = shared.lock();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            state.busy += 1;
            drop(state);
            caught(|| job(shared));
            state = shared.lock();
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let (woken, timeout) = shared.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if timeout.timed_out() && state.jobs.is_empty() {
            break;
        }
    }
    state.threads -= 1;
}

/// Calls what must not end the thread, nor the count of those that work. A function's own panic is its
/// result and goes to whoever awaits it; what is caught here comes from destructors and wakers, for which
/// nobody waits. The panic hook has told of it.
fn caught(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        // A payload that panics when it is dropped, with a payload, is not given a third chance.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
    }
}

/// Where a job leaves its result.
struct Slot<T> {
    state: Mutex<SlotState<T>>,
}

enum SlotState<T> {
    Waiting(Waker),
    /// The future was dropped.
    Abandoned,
    Done(Result<T, Box<dyn Any + Send>>),
    Taken,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, SlotState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`to_thread`].
#[must_use = "futures do nothing unless awaited"]
pub struct ToThread<F, T> {
    state: State<F, T>,
}

enum State<F, T> {
    Idle(F),
    Submitted(Arc<Slot<T>>),
    Over,
}

/// Runs a blocking function on a thread of the loop's pool and waits for its value.
///
/// The function is submitted at the first poll. At most 32 threads, named `evloop-blocking-N`, work at
/// once; the rest waits. It sees those [context variables](crate::ContextVar) of this task whose values are `Send` and
/// `Sync`, as they are then; what it sets is seen by nobody else. On the virtual clock, time stands still while jobs run.
///
/// # Panics
/// If the function panics, the panic goes on here. If no thread can be had at all. Outside of a loop.
///
/// # Cancel safety
/// Lossy: dropped, a function that was not begun never runs; one that runs cannot be stopped, and its
/// value is dropped.
///
/// # asyncio
/// `asyncio.to_thread(f)`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let here = std::thread::current().id();
///     let there = evloop::to_thread(|| std::thread::current().id()).await;
///     assert_ne!(here, there);
/// });
/// ```
#[doc(alias = "spawn_blocking")]
pub fn to_thread<F, T>(f: F) -> ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    ToThread { state: State::Idle(f) }
}

/// The function is moved out before it is called, and nothing points into the future.
impl<F, T> Unpin for ToThread<F, T> {}

impl<F, T> Future for ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let slot = match std::mem::replace(&mut self.state, State::Over) {
            State::Idle(f) => {
                self.state = State::Submitted(submit(f, cx.waker().clone()));
                return Poll::Pending;
            }
            State::Submitted(slot) => slot,
            State::Over => panic!("a to_thread was polled after it was ready"),
        };
        // Cloned before and dropped after the lock: wakers are foreign code.
        let waker = cx.waker().clone();
        let mut state = slot.lock();
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Done(Ok(value)) => Poll::Ready(value),
            SlotState::Done(Err(payload)) => {
                drop(state);
                panic::resume_unwind(payload)
            }
            former => {
                *state = SlotState::Waiting(waker);
                probe::waits_for(|| "to_thread".into());
                drop(state);
                drop(former);
                self.state = State::Submitted(slot);
                Poll::Pending
            }
        }
    }
}

fn submit<F, T>(f: F, waker: Waker) -> Arc<Slot<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let handle =
        LoopHandle::current().expect("to_thread() needs a running loop: await it inside of evloop::run");
    let pool = with_current(|_, home| home.extension(Pool::new)).expect("there is a running loop");
    let ticket = JobTicket::new(handle.loop_ref());
    let travelling = travelling_context();
    let slot = Arc::new(Slot { state: Mutex::new(SlotState::Waiting(waker)) });
    let job = {
        let slot = slot.clone();
        Box::new(move |pool: &PoolShared| {
            // It ends after the wake below, and also if the job is dropped unrun.
            let ticket = ticket;
            if matches!(*slot.lock(), SlotState::Abandoned) {
                pool.lock().busy -= 1;
                return;
            }
            // The context goes in there, too: before anybody hears of the result.
            let result = panic::catch_unwind(AssertUnwindSafe(|| match travelling.map(Travelling::arrive) {
                Some(context) => run_in(&context, f),
                None => f(),
            }));
            // Before anybody hears of the result, and may end the loop.
            pool.lock().busy -= 1;
            let former = std::mem::replace(&mut *slot.lock(), SlotState::Done(result));
            if let SlotState::Waiting(waker) = former {
                waker.wake();
            } else {
                // Nobody wants it; it is dropped here, on the thread that made it, after the lock.
                let unwanted = std::mem::replace(&mut *slot.lock(), SlotState::Abandoned);
                if let SlotState::Done(Err(payload)) = unwanted {
                    ticket.report(payload);
                }
            }
            drop(ticket);
        })
    };
    if let Err((_, error)) = pool.submit(job) {
        panic!("no thread for blocking work can be started: {error}");
    }
    slot
}

impl<F, T> Drop for ToThread<F, T> {
    fn drop(&mut self) {
        if let State::Submitted(slot) = &self.state {
            let former = std::mem::replace(&mut *slot.lock(), SlotState::Abandoned);
            if let SlotState::Done(Err(payload)) = former {
                report_panic("a function given to to_thread panicked and nobody awaited it", payload);
            }
        }
    }
}

impl<F, T> fmt::Debug for ToThread<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::Submitted(_) => "submitted",
            State::Over => "over",
        };
        f.debug_struct("ToThread").field("state", &state).finish()
    }
}
