//! What a runner keeps for all its runs: debug mode, and its context.

use evloop::context::Context;
use evloop::{
    ContextVar, EventLoop, RunError, Runner, copy_context, create_task, get_running_loop, yield_now,
};

use super::virtual_runner;
use crate::debug::switch::debug_mode_with;
use crate::support::panic_of;

static PLACE: ContextVar<&str> = ContextVar::new("place");

/// What was set before it sets this.
async fn swap(value: &'static str) -> Option<&'static str> {
    yield_now().await;
    PLACE.set(value).old_value().copied()
}

async fn place() -> Option<&'static str> {
    PLACE.get()
}

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
    let copied = runner.run(async { copy_context() }).unwrap();
    assert_eq!((copied.get(&CVAR), CVAR.get()), (Some(2), Some(-1)));
}

/// CPython: the same.
#[test]
fn a_main_runs_in_the_context_that_it_is_given_and_the_others_in_theirs() {
    let (mut runner, given) = (virtual_runner(), Context::new());
    given.run(|| PLACE.set("given"));
    assert_eq!(runner.run(swap("base")).unwrap(), None);
    let main = async {
        let before = swap("main").await;
        assert!(copy_context().run(|| PLACE.get()) == Some("main"));
        create_task(swap("child's own")).await.unwrap();
        before
    };
    assert_eq!(runner.run_in(&given, main).unwrap(), Some("given"));
    assert_eq!(given.get(&PLACE), Some("main"), "it is that very one");
    assert_eq!(runner.run_in(&given, place()).unwrap(), Some("main"));
    assert_eq!(runner.run(place()).unwrap(), Some("base"));
    assert_eq!(PLACE.get(), None);
}

/// CPython: the same, as the runner makes its context when it first makes its loop.
#[test]
fn a_run_in_another_context_settles_which_one_the_other_mains_share() {
    let mut runner = virtual_runner();
    PLACE.set("first use");
    assert_eq!(runner.run_in(&Context::new(), swap("elsewhere")).unwrap(), None);
    PLACE.set("later");
    assert_eq!(runner.run(place()).unwrap(), Some("first use"));
}

/// CPython: the same, by `get_loop()`.
#[test]
fn to_ask_for_the_handle_settles_the_context_too() {
    let mut runner = virtual_runner();
    PLACE.set("first use");
    let handle = runner.handle();
    PLACE.set("later");
    assert_eq!(runner.run(place()).unwrap(), Some("first use"));
    assert!(!handle.is_running());
}

/// CPython: the same.
#[test]
fn a_run_that_is_refused_is_no_use_of_the_runner() {
    let (mut outer, mut runner) = (virtual_runner(), virtual_runner());
    let refused = outer.run(async {
        PLACE.set("outer task");
        (runner.run(place()), runner.run_in(&Context::new(), place()))
    });
    assert!(matches!(refused, Ok((Err(RunError::AlreadyRunning), Err(RunError::AlreadyRunning)))));
    PLACE.set("thread");
    assert_eq!(runner.run(place()).unwrap(), Some("thread"));
    runner.close().unwrap();
    assert!(matches!(runner.run_in(&Context::new(), place()), Err(RunError::Closed)));
}

#[test]
fn what_a_main_sets_is_kept_however_it_ends() {
    let mut runner = virtual_runner();
    let given = Context::new();
    let panics = async {
        PLACE.set("panicked");
        panic!("on purpose")
    };
    assert_eq!(panic_of(|| runner.run_in(&given, panics)), "on purpose");
    let stopped = async {
        PLACE.set("stopped");
        get_running_loop().unwrap().stop();
        std::future::pending().await
    };
    assert!(matches!(runner.run(stopped), Err::<(), _>(RunError::Stopped)));
    assert_eq!(given.get(&PLACE), Some("panicked"));
    assert_eq!(runner.run(place()).unwrap(), Some("stopped"));
}
