//! Running a whole program: make a loop, run `main`, end what is left, drop the loop.
//!
//! All ways lead through the [`Runner`] (`life.rs`): [`run`] and [`try_run`] make one, run once and close it, and
//! the attributes expand to the same. What the runner does about Ctrl-C is in `interrupt.rs`.

mod builder;
#[cfg(unix)]
mod interrupt;
#[cfg(not(unix))]
#[path = "no_interrupt.rs"]
mod interrupt;
mod life;
mod once;
mod shutdown;
mod test;

pub use builder::RunnerBuilder;
pub use life::Runner;
pub use once::{run, try_run};
pub use test::seed as test_seed;

#[doc(hidden)]
pub use once::main_on;
#[doc(hidden)]
pub use test::{fifo_test_on, test_on};
