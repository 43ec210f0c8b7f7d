//! For tests of concurrent code, evloop's own and yours.
//!
//! # Time is virtual
//! `#[evloop::test]` makes an `async fn` a test on the virtual clock. A sleep takes no time, instants are exact, and
//! what happens at one instant happens in one order, every time. So compare with `==`, and never wait "long enough".
//! A test in which nothing can happen any more fails with a list of its tasks.
//!
//! # Let everybody run
//! [`settle`] runs the others until all of them wait; then a test looks whether all is as it has to be.
//!
//! # In another order
//! Whatever is ready in one iteration runs in asyncio's order, first come, first served. A program that needs the
//! order of tasks that have nothing to do with each other works by chance. So run the tests in other orders:
//!
//! ```text
//! EVLOOP_TEST_SEED=7 cargo test
//! for seed in $(seq 20); do EVLOOP_TEST_SEED=$seed cargo test || break; done
//! ```
//!
//! Under `#[evloop::test]` and [`cancel_everywhere`] each iteration's tasks and callbacks are shuffled then, as the seed
//! decides: what fails under a seed fails under it again. A test that is about the order says so, and is left alone:
//! `#[evloop::test(order = "fifo")]`, [`Scenario::fifo`]. A loop of your own has
//! [`Builder::shuffle`](crate::Builder::shuffle), and [`seed`] tells what the environment asks for.
//!
//! # What happened, in which order
//! A [`Trace`] is a list of events that many can write to. [`Trace::watch`] writes down by itself when a future
//! is polled for the first time, is ready, or is dropped before that.
//!
//! ```
//! use evloop::{sleep, testing::Trace, time::secs, wait_for};
//!
//! # #[evloop::main(clock = "virtual")] async fn main() { wait_for_drops_what_takes_too_long().await }
//! # /*
//! #[evloop::test]
//! # */
//! async fn wait_for_drops_what_takes_too_long() {
//!     let trace = Trace::with_times();
//!     let slow = trace.watch("slow", sleep(secs(60)));
//!     assert!(wait_for(slow, secs(5)).await.is_err());
//!     assert_eq!(trace.take(), ["0ns:slow: first poll", "5s:slow: dropped"]);
//! }
//! ```
//!
//! # What if it is cancelled just there?
//! Any `.await` may be the last: the task is cancelled, a `select!` drops the future, a timeout comes. Whether
//! code can take that cannot be seen in a run that goes well. [`cancel_everywhere`] runs a scenario again and again, and
//! ends it at every one of its awaits in every way there is; a check looks each time whether all is still in order.
//!
//! ```
//! use evloop::testing::{Scenario, cancel_everywhere};
//! use evloop::{Lock, yield_now};
//! use std::rc::Rc;
//!
//! // In a plain #[test]: each run has a loop of its own.
//! cancel_everywhere(|| {
//!     let lock = Rc::new(Lock::new(0));
//!     let ours = lock.clone();
//!     Scenario::new(async move {
//!         let mut guard = ours.acquire().await;
//!         yield_now().await; // or anything else that takes its time
//!         *guard += 1;
//!     })
//!     .check(async move |_run| assert!(!lock.locked(), "whatever happens, the lock is free again"))
//! });
//! ```

mod cancel;
mod probe;
mod scenario;
mod settle;
mod trace;

pub use crate::runner::test_seed as seed;
pub use cancel::cancel_everywhere;
pub use scenario::{Ended, How, Interruption, Run, Scenario};
pub use settle::{Settle, settle};
pub use trace::{SaysWhenDropped, Trace, Watched};
