//! What a runner keeps for all its runs: debug mode, and its context.

use evloop::{ContextVar, EventLoop, Runner, get_running_loop};

use super::virtual_runner;
use crate::debug::switch::debug_mode_with;

/// Whether the loop of a run is in debug mode.
fn is_debug(runner: evloop::RunnerBuilder) -> bool {
    runner.build().unwrap().run(async { get_running_loop().unwrap().get_debug() }).unwrap()
}

#[test]
fn test_asyncio_run_debug() {
    assert!(is_debug(Runner::builder().debug(true)));
    assert!(!is_debug(Runner::builder().debug(false)));
    let by_environment = std::env::var("EVLOOP_DEBUG").is_ok_and(|value| !value.is_empty() && value != "0");
    assert_eq!(is_debug(Runner::builder()), by_environment);
    assert!(debug_mode_with(Some("1")).1, "and by the environment");
}

#[test]
fn test_non_debug() {
    assert!(!is_debug(Runner::builder().debug(false).event_loop(EventLoop::builder().debug(true))));
}

#[test]
fn test_debug() {
    assert!(is_debug(Runner::builder().debug(true).event_loop(EventLoop::builder().debug(false))));
}

#[test]
fn test_run_keeps_context() {
    static CVAR: ContextVar<i32> = ContextVar::new("cvar").with_default(|| -1);

    let get_and_set = async |value: i32| {
        let before = CVAR.get();
        CVAR.set(value);
        before
    };
    let mut runner = virtual_runner();
    assert_eq!(runner.run(get_and_set(1)).unwrap(), Some(-1));
    assert_eq!(runner.run(get_and_set(2)).unwrap(), Some(1));
    assert_eq!(runner.run(async { CVAR.get() }).unwrap(), Some(2));
    assert_eq!(CVAR.get(), Some(-1));
}
