//! What the modules share: the ways in which a loop can watch its descriptors.

use std::panic::AssertUnwindSafe;

use evloop::{Builder, Clock, EventLoop, PollMode};

/// Runs a test on a loop of each kind: both waits, all modes.
#[track_caller]
pub(crate) fn on_every_loop<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for portable in [false, true] {
        for mode in [PollMode::Edge, PollMode::Level, PollMode::Oneshot] {
            let builder = EventLoop::builder().portable_wait(portable).poll_mode(mode);
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| run_on(builder, test()))) {
                eprintln!("on a loop with portable_wait({portable}) and {mode:?}:");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Runs a future to its end, and expects that nothing stays registered.
#[track_caller]
pub(crate) fn run_on<F: Future>(builder: Builder, future: F) -> F::Output {
    let mut event_loop = builder.clock(Clock::Monotonic).build().unwrap();
    let output = event_loop.run_until_complete(future).unwrap();
    event_loop.cancel_all_tasks().unwrap();
    assert_eq!(event_loop.handle().registrations(), (0, 0), "descriptors and waiters that stayed behind");
    output
}
