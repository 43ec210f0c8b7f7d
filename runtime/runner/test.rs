//! What `#[evloop::test]` expands to, and the order in which such a test runs.

use crate::kernel::{Builder, Clock, EventLoop};

use super::life::Runner;
use super::once::run_with;

/// The variable that asks for another order than asyncio's.
const SEED: &str = "EVLOOP_TEST_SEED";

/// The seed that `EVLOOP_TEST_SEED` holds: for tests that make their own loop, as an argument of
/// [`Builder::shuffle`](crate::Builder::shuffle). `None` if it is not set or empty.
///
/// # Panics
/// If it is set to something that is not a number below 2^64.
///
/// # Examples
/// ```
/// use evloop::{Clock, EventLoop, testing};
///
/// let mut event_loop = EventLoop::builder().clock(Clock::Virtual).shuffle(testing::seed()).build()?;
/// event_loop.run_until_complete(evloop::yield_now())?;
/// # Ok::<(), evloop::RunError>(())
/// ```
#[must_use]
pub fn seed() -> Option<u64> {
    let value = std::env::var_os(SEED).filter(|value| !value.is_empty())?;
    match value.to_str().and_then(|text| text.parse().ok()) {
        Some(seed) => Some(seed),
        None => panic!("{SEED} is {}; set it to a number below 2^64, or not at all", value.display()),
    }
}

/// Runs a test: a loop on which nothing can happen any more fails with the list of its tasks. Ctrl-C is the test
/// harness's. The order is what the environment asks for.
#[doc(hidden)]
#[track_caller]
pub fn test_on<F: IntoFuture>(clock: Clock, main: F) -> F::Output {
    let seed = seed();
    let saying = SaysTheSeed(seed);
    let output = run_test(EventLoop::builder().clock(clock).shuffle(seed), main);
    drop(saying);
    output
}

/// As [`test_on`], of a test that is about the order.
#[doc(hidden)]
#[track_caller]
pub fn fifo_test_on<F: IntoFuture>(clock: Clock, main: F) -> F::Output {
    run_test(EventLoop::builder().clock(clock), main)
}

#[track_caller]
fn run_test<F: IntoFuture>(event_loop: Builder, main: F) -> F::Output {
    let runner = Runner::builder().event_loop(event_loop.detect_stuck(true)).handle_sigint(false).build();
    match run_with(runner, main) {
        Ok(output) => output,
        Err(error) => panic!("{error}"),
    }
}

/// Below the message of a test that fails, what makes it fail again.
struct SaysTheSeed(Option<u64>);

impl Drop for SaysTheSeed {
    fn drop(&mut self) {
        if let Some(seed) = self.0.filter(|_| std::thread::panicking()) {
            eprintln!(
                "the order was shuffled: {SEED}={seed} repeats it; order = \"fifo\" is for tests of the order"
            );
        }
    }
}
