//! asyncio for Rust: an event loop on one thread, with asyncio's words and asyncio's order of events.
//!
//! A loop lives on one thread. Its tasks are ordinary futures that need not be `Send`, so shared state is
//! an `Rc<RefCell<…>>` or a [`Queue`], not an `Arc<Mutex<…>>`. What is scheduled first runs first; virtual
//! time is built in; a cancellation waits for cleanups that await.
//!
//! # Run
//! [`run`] makes a loop, runs a future on it, ends what is left and returns the output. `#[evloop::main]`
//! does that for `main`.
//!
//! ```
//! use evloop::{Queue, sleep, time::millis};
//! use std::rc::Rc;
//!
//! #[evloop::main]
//! async fn main() {
//!     let queue = Rc::new(Queue::new(10));
//!     let consumer = evloop::create_task({
//!         let queue = queue.clone();
//!         async move {
//!             while let Ok(item) = queue.get().await {
//!                 println!("consume {item}");
//!                 queue.task_done();
//!             }
//!         }
//!     });
//!     for item in 0..5 {
//!         sleep(millis(1)).await;
//!         queue.put(item).await.unwrap();
//!     }
//!     queue.join().await; // every item was taken and done
//!     queue.shutdown(); // the consumer's get() now fails, its loop ends
//!     consumer.await.unwrap();
//! }
//! ```
//!
//! # Start and wait
//! [`create_task`] starts a task and gives a [`Task`], which is awaited for `Result<T, TaskError>`.
//! [`gather`] waits for several, [`wait_for`] no longer than a timeout. [`wait`] waits for the first of several or for all
//! and touches none, [`as_completed`] hands them back as they end, [`shield`] keeps a cancellation away from one.
//! Without tasks, [`race`] gives the first value and ends the others with their cleanup, [`select`] hands them back, and
//! [`scope`](scope()) runs children that borrow. [`call_soon`] and [`call_later`] schedule plain callbacks into the same
//! FIFO. [`to_thread`] runs what blocks; [`LoopProxy`] is how other threads reach a loop. [`Task::builder`] gives a task a
//! name, a context, or its first step at once.
//!
//! # Share
//! Tasks of one loop share what they like by `Rc`. Where they have to wait for each other there are asyncio's [`Lock`],
//! [`Semaphore`], [`Event`], [`Condition`], [`Barrier`], [`Queue`] and [`Promise`], besides [`RwLock`] and [`OnceCell`]; all
//! serve in the order in which they were asked, and tell their [`stats`](Lock::stats). [`channel`] has channels between
//! tasks, [`mpsc`](channel::mpsc), [`oneshot`](channel::oneshot), [`broadcast`](channel::broadcast) and
//! [`watch`](channel::watch), and one between loops and threads. A [`ContextVar`] belongs to a task and all that it starts.
//!
//! ```
//! use evloop::ContextVar;
//!
//! static REQUEST: ContextVar<u32> = ContextVar::new("request");
//!
//! evloop::run(async {
//!     REQUEST.set(7);
//!     let logs = evloop::create_task(async { format!("[{}] done", REQUEST.get().unwrap()) });
//!     REQUEST.set(8); // the task has a copy of its own
//!     assert_eq!(logs.await.unwrap(), "[7] done");
//! });
//! ```
//!
//! # Group
//! A [`TaskGroup`] is the way to start tasks that belong together: it returns when all have ended, the first failure
//! cancels the others, errors come back together, and a cancellation from outside reaches every child and waits for it.
//!
//! ```
//! use evloop::{TaskGroup, sleep, time::{millis, secs}};
//!
//! async fn fetch(n: u64) -> Result<u64, String> {
//!     sleep(millis(n)).await;
//!     if n == 2 { Err(format!("no {n}")) } else { Ok(n) }
//! }
//!
//! evloop::run(async {
//!     let fetched = TaskGroup::try_scope(async |tg| {
//!         for n in 1..=3 {
//!             let _ = tg.create_task(fetch(n * n));
//!         }
//!         let _ = tg.create_task(fetch(2));
//!         Ok(sleep(secs(1)).await)
//!     });
//!     assert_eq!(fetched.await.unwrap_err().to_string(), "1 error: no 2");
//! });
//! ```
//!
//! # Cancel
//! [`Task::cancel`](TaskRef::cancel) asks a task to end. The request goes to the innermost thing that it
//! waits in: an awaited task or a [`gather`] passes it on and waits; [`catch_cancel`] hands it to the code,
//! [`on_cancel`] to a handler, [`finally`] to a cleanup, and all of them may await. Where nothing is in its
//! way, the task's future is dropped and the task ends cancelled.
//!
//! ```
//! use evloop::{on_cancel, sleep, time::{millis, secs}};
//!
//! evloop::run(async {
//!     let work = evloop::create_task(on_cancel(sleep(secs(3600)), async |c| {
//!         sleep(millis(1)).await; // say goodbye, flush, hand back
//!         c.rethrow().await
//!     }));
//!     evloop::yield_now().await;
//!     work.cancel();
//!     assert!(work.await.unwrap_err().is_cancelled()); // after the goodbye
//! });
//! ```
//!
//! [`timeout`](timeout()) is a block with a deadline that it may move, and [`Runner`] and [`run`] make of Ctrl-C a cancellation
//! of `main`: the first one lets everything clean up, the second does not wait.
//!
//! # Talk
//! [`net`] has TCP: [`TcpListener`](net::TcpListener) and [`TcpStream`](net::TcpStream). A socket can be sent to
//! another thread and be served on another loop than it was accepted on. [`AsyncFd`] awaits any other descriptor,
//! [`LoopHandle::add_reader`] calls back. [`channel::thread`](mod@channel::thread) carries values between loops and plain threads:
//! both ends can be awaited anywhere, and block off the loops.
//!
//! ```
//! use evloop::{net::TcpListener, time::secs, wait_for};
//!
//! async fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     loop {
//!         let (stream, _peer) = listener.accept().await?;
//!         let _ = evloop::create_task(async move {
//!             let mut buffer = [0; 1024];
//!             while let Ok(Ok(n @ 1..)) = wait_for(stream.read(&mut buffer), secs(60)).await {
//!                 if stream.write_all(&buffer[..n]).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//! }
//! ```
//!
//! # Test
//! `#[evloop::test]` runs a test on the virtual clock: hours pass at once, instants are exact, and a test
//! whose tasks are all stuck fails with their list instead of hanging. [`testing`] has more:
//! [`cancel_everywhere`](testing::cancel_everywhere()) ends a future at each of its awaits and lets a check look whether all
//! is in order, [`settle`](testing::settle()) runs the others until all wait, [`Trace`](testing::Trace) writes down what happens
//! when, and `EVLOOP_TEST_SEED` runs what is ready in another order.
//!
//! ```
//! use evloop::{now, sleep, time::secs};
//!
//! #[evloop::test]
//! async fn an_hour_is_exactly_an_hour() {
//!     let start = now();
//!     sleep(secs(3600)).await;
//!     assert_eq!(now() - start, secs(3600));
//! }
//! # fn main() {}
//! ```
//!
//! # Look
//! With `EVLOOP_DEBUG=1` in the environment, or [`debug(true)`](Builder::debug), a loop tells what goes wrong without an error:
//! the step that is stuck, while it is; what each task waits for when nothing can happen any more; who waits for whom in
//! a circle; handles that nobody awaits. [`debug`](mod@debug) says more, and has [`waiting`](debug::waiting): who waits for what.
//!
//! # From asyncio
//! | asyncio | evloop |
//! |---|---|
//! | `asyncio.run(main())` | [`run`]`(main())`, `#[evloop::main]` |
//! | `loop = asyncio.new_event_loop()` | [`EventLoop::new`]; its scheduling methods are on [`LoopHandle`] |
//! | `loop.run_until_complete`, `run_forever`, `stop` | the same names |
//! | `asyncio.get_running_loop()` | [`get_running_loop`] |
//! | `asyncio.create_task(coro)` | [`create_task`]`(future)` |
//! | `create_task(coro, name=…, context=…, eager_start=…)` | [`Task::builder`]; `create_task_with` on [`LoopHandle`] and [`TaskGroup`] |
//! | `eager_task_factory` | [`Builder::eager_tasks`] |
//! | `contextvars.ContextVar`, `copy_context()`, `Context.run`, `task.get_context()` | [`ContextVar`], [`copy_context`], [`Context::run`](context::Context::run), [`TaskRef::context`] |
//! | `await task`, `task.cancel()`, `cancelling`, `uncancel`, `add_done_callback` | the same names on [`Task`] and [`TaskRef`] |
//! | `asyncio.current_task()`, `all_tasks()` | [`current_task`], [`all_tasks`] |
//! | `asyncio.sleep(1)`, `sleep(0)` | [`sleep`]`(secs(1))`, [`yield_now`] |
//! | `asyncio.gather(a, b)` | [`gather`]`((a, b))`, [`try_gather`] for children that return `Result` |
//! | `gather(…, return_exceptions=True)` | [`gather_all`] |
//! | `asyncio.wait_for(aw, 5)` | [`wait_for`]`(future, secs(5))` |
//! | `async with asyncio.timeout(5) as t:` | [`timeout`](timeout())`(secs(5), async \|t\| …)`, [`timeout_at`] |
//! | `async with asyncio.TaskGroup() as tg:` | [`TaskGroup::scope`]`(async \|tg\| …)`, [`TaskGroup::try_scope`] |
//! | `ExceptionGroup` | [`ErrorGroup`] |
//! | `asyncio.wait(tasks, return_when=…, timeout=…)` | [`wait`](wait())`(&tasks, FirstCompleted, secs(5))` |
//! | `asyncio.as_completed(aws)`, `timeout=` | [`as_completed`](as_completed())`(futures)`, `.timeout(secs(5))` |
//! | `asyncio.shield(aw)` | [`shield`](shield())`(&task)` |
//! | `asyncio.staggered.staggered_race` | [`staggered_race`] |
//! | `asyncio.Runner` | [`Runner`]; `run(main, context=ctx)` is [`run_in`](Runner::run_in) |
//! | `loop.add_signal_handler`, `remove_signal_handler` | the same names on [`LoopHandle`]; [`signal`](mod@signal), [`ctrl_c`] |
//! | "Task exception was never retrieved" | [`Task::detach_reporting`] |
//! | `except CancelledError`, `finally` | [`catch_cancel`], [`on_cancel`], [`finally`] |
//! | `loop.call_soon`, `call_later`, `call_at`, `time` | [`call_soon`], [`call_later`], [`call_at`], [`now`] |
//! | `loop.call_soon_threadsafe(f)` | [`LoopProxy::call_soon`] |
//! | `run_coroutine_threadsafe(coro, loop)` | [`LoopProxy::create_task`] |
//! | `asyncio.to_thread(f)` | [`to_thread`]`(f)` |
//! | `asyncio.Future` | [`Promise`] |
//! | `asyncio.Queue`, `PriorityQueue`, `LifoQueue` | [`Queue`], [`PriorityQueue`], [`LifoQueue`] |
//! | `asyncio.Lock`, `Semaphore`, `BoundedSemaphore` | the same names: [`Lock`], [`Semaphore`], [`BoundedSemaphore`] |
//! | `asyncio.Event`, `Condition`, `Barrier` | the same names: [`Event`], [`Condition`], [`Barrier`] |
//! | a `Queue` with one consumer, a `Future` between two tasks | also [`channel::mpsc`], [`channel::oneshot`] |
//! | `queue.Queue` with `call_soon_threadsafe` | [`channel::thread`](mod@channel::thread) |
//! | `run(debug=True)`, `PYTHONASYNCIODEBUG=1` | [`Builder::debug`], `EVLOOP_DEBUG=1` |
//! | `loop.set_debug`, `get_debug`, `slow_callback_duration` | the same names on [`LoopHandle`] |
//! | `python -m asyncio ps` | [`debug::waiting`] |
//! | `loop.sock_connect`, `sock_accept`, `sock_recv_into`, `sock_sendall` | [`net::TcpStream::connect`], [`net::TcpListener::accept`], [`net::TcpStream::read`], [`net::TcpStream::write_all`] |
//! | `loop.getaddrinfo` | [`net::lookup_host`] |
//! | `loop.add_reader`, `add_writer`, `remove_reader`, `remove_writer` | the same names on [`LoopHandle`]; [`AsyncFd`] |
//! | `loop.set_exception_handler` | [`LoopHandle::set_exception_handler`] |
//! | an exception | a `Result` in the task's output; a panic is caught at its task |
//!
//! Where the behaviour differs on purpose, [`deviations`] says so and why.
//!
//! # Features
//! `macros` (default): the two attributes. A feature adds names and changes nothing else.

// The library's own tests use the attributes under the crate's public name.
#[cfg(test)]
extern crate self as evloop;

#[cfg(unix)]
mod async_fd;
mod at_home;
pub mod channel;
pub mod context;
pub mod debug;
pub mod deviations;
mod kernel;
pub mod net;
pub mod queue;
mod runner;
#[cfg(unix)]
pub mod signal;
mod spawn;
pub mod sync;
pub mod tasks;
pub mod testing;
mod threads;
pub mod time;

#[cfg(unix)]
pub use async_fd::AsyncFd;
pub use at_home::{AtHome, NotAtHome};
pub use context::{ContextVar, copy_context};
pub use kernel::{
    Builder, CallbackId, CancelledError, Clock, ErrorContext, EventLoop, Handle, Join, JoinMut, JoinRef,
    LoopClosed, LoopHandle, LoopProxy, Panic, PollMode, RemoteTask, RunError, Stuck, Task, TaskBuilder,
    TaskError, TaskRef, TimerHandle,
};
pub use queue::{GetNowaitError, LifoQueue, PriorityQueue, PutNowaitError, Queue, QueueShutDown};
pub use runner::{Runner, RunnerBuilder, run, try_run};
#[cfg(unix)]
pub use signal::ctrl_c;
pub use sync::{
    Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Event, InvalidStateError, Lock, LockGuard,
    OnceCell, Permit, Promise, RwLock, Semaphore,
};
pub use tasks::{
    AllCompleted, AsCompleted, AsCompletedTimeout, Cancellation, ErrorGroup, FirstCompleted, FirstException,
    FirstPanic, GatherError, GroupClosed, NoRunningLoop, Scope, ScopedChild, Staggered, TaskGroup,
    TaskGroupBuilder, TryTaskGroup, Waited, all_tasks, as_completed, call_at, call_later, call_soon,
    catch_cancel, create_task, current_task, finally, gather, gather_all, get_running_loop, on_cancel, race,
    scope, select, shield, staggered_race, try_gather, wait, yield_now,
};
pub use threads::{ToThread, to_thread};
pub use time::{Timeout, TimeoutError, interval, now, sleep, sleep_until, timeout, timeout_at, wait_for};

#[cfg(feature = "macros")]
pub use evloop_macros::{main, test};

/// What the attributes expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::runner::{fifo_test_on as fifo_test, main_on as main, test_on as test};
}
