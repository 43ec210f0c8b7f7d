//! Ctrl-C and the `Runner`, and what becomes of signals after a fork: facts of a process and of its main thread.
//!
//! Each test is a scenario that runs in a process of its own: this program starts itself again, with the scenario's
//! name, and looks at what it printed and how it ended. So it is its own harness; it takes a filter as the usual one does.

#[cfg(unix)]
mod forks;
#[cfg(unix)]
mod harness;
#[cfg(unix)]
mod runner;

fn main() {
    #[cfg(unix)]
    harness::main(&[runner::TESTS, forks::TESTS]);
}
