//! The public API, one module for each module of asyncio's test suite that evloop answers to, and some for
//! what evloop promises beyond it.
//!
//! Modules called `test_…` hold CPython's tests under CPython's names; the documentation of each lists the
//! tests that have no counterpart here, and why. The other modules' tests are named by what they claim.

#[expect(unsafe_code, reason = "a table of functions")]
mod busy_waker;
mod support;

mod at_home;
mod bound_to_threads;
mod builder;
mod channel;
mod context;
mod debug;
mod eager;
mod embedding;
mod exceptions;
mod foreign_wakers;
mod interval;
mod loop_end;
mod race;
mod reentrancy;
mod remote;
mod scope;
mod select;
mod spawn_traits;
mod stats;
mod test_base_events;
mod test_context;
mod test_eager_task_factory;
mod test_events;
mod test_futures;
mod test_futures2;
mod test_locks;
mod test_pep492;
mod test_queues;
mod test_runners;
#[cfg(unix)]
mod test_selector_events;
mod test_staggered;
mod test_taskgroups;
mod test_tasks;
mod test_threads;
mod test_timeouts;
#[cfg(unix)]
mod test_unix_events;
mod test_waitfor;
mod testing;
mod testing_order;
