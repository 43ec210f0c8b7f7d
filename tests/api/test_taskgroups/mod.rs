//! CPython's `test_taskgroups`, and the tests of `TaskGroup.cancel` that came after 3.13.
//!
//! What an exception is there is an `Err` or a panic here: ordinary errors are `Err`s of a `try_scope`, what leaves
//! the group unwrapped (`KeyboardInterrupt`, `SystemExit`) is a panic.
//!
//! Deviations, each asserted here as it is in evloop:
//! * `test_taskgroup_20`, `20a`, `21a`: there are no fatal classes of errors but panics, and a panic of a child
//!   wins, too.
//! * `cancelling()` counts `cancel()` calls only, so a group has nothing to take back.
//!
//! No counterpart, since the types rule them out: entering a group twice or not at all
//! (`test_taskgroup_already_entered`, `test_taskgroup_double_enter`, `test_taskgroup_not_entered`): a group is
//! the argument of its body.

mod cancel;
mod cancelled;
mod children;
mod eager;
mod errors;
mod limit;
mod nested;
mod panics;

use std::time::Duration;

use evloop::ErrorGroup;

/// The errors of these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    Value,
    Key,
    Type,
    ZeroDivision,
}

/// Ends with an error after a while.
pub(crate) async fn fails_after(delay: Duration, error: Error) -> Result<(), Error> {
    evloop::sleep(delay).await;
    Err(error)
}

/// Ends well after a while, which no test waits for.
pub(crate) async fn long<E>() -> Result<(), E> {
    evloop::sleep(Duration::from_secs(3600)).await;
    Ok(())
}

/// The errors of a group that failed, in their order.
pub(crate) fn errors<T: std::fmt::Debug, E: Copy>(ended: Result<T, ErrorGroup<E>>) -> Vec<E> {
    match ended {
        Ok(value) => panic!("it did not fail: {value:?}"),
        Err(group) => group.iter().copied().collect(),
    }
}
