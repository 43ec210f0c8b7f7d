//! CPython's `test_locks`, a module for each primitive.
//!
//! Where the originals release on behalf of a task that has ended, the tasks here hold their guards until they are
//! told ([`Holder`]), which takes an iteration more. Where they look into `_waiters`, these tests read `Debug`'s text.
//!
//! Deviations, each asserted here as it is in evloop:
//! * A condition's wait that was cancelled does not hold the lock afterwards; an `on_cancel` handler acquires it, as in
//!   the tests of `condition.rs` whose originals find it held.
//! * `Barrier::reset` and `Barrier::abort` are plain functions.
//!
//! Not ported, since the types rule it out: releasing what one does not hold, waiting and notifying without the lock
//! (the lock's `test_release_not_acquired`, and the tests that end in `_unacquired`; where `wait_for`'s predicate is true
//! at once is in `condition.rs`). `test_ambiguous_loops`: no primitive belongs to a loop. The `test_repr`s, but the
//! barrier's; the rest is about Python's `with` and arguments.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;

use std::fmt::Debug;
use std::future::Future;
use std::rc::Rc;

use evloop::{Lock, Promise, Task, create_task};

use crate::support::Log;

/// A number out of a primitive's `Debug` text.
fn number(primitive: &impl Debug, name: &str) -> usize {
    let text = format!("{primitive:?}");
    let (_, rest) = text.split_once(&format!("{name}: ")).expect("a field of that name");
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// A task that enters something, logs its name, and stays until it is told to leave.
struct Holder {
    task: Task<()>,
    leave: Promise<()>,
}

impl Holder {
    fn new(body: impl FnOnce(Promise<()>) -> Task<()>) -> Self {
        let leave = Promise::new();
        Self { task: body(leave.clone()), leave }
    }

    fn of_lock(lock: &Rc<Lock<()>>, log: &Log, name: &'static str) -> Self {
        let (lock, log) = (lock.clone(), log.clone());
        Self::new(|leave| {
            create_task(async move {
                let _guard = lock.acquire().await;
                log.push(name);
                leave.await.unwrap();
            })
        })
    }

    fn leave(&self) {
        self.leave.set_result(()).expect("told once");
    }
}

/// Has a task cancelled by a callback, and awaits it, as many of the originals do.
async fn cancelled_soon<T: 'static>(future: impl Future<Output = T> + 'static) {
    let task = create_task(future);
    let to_cancel = task.clone();
    evloop::call_soon(move || assert!(to_cancel.cancel()));
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
}
