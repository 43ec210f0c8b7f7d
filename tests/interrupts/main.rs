//! Ctrl-C and the `Runner`, what becomes of signals after a fork, and where no descriptors are left: facts of a process and of its main thread.
//!
//! Each test is a scenario that runs in a process of its own: this program starts itself again, with the scenario's
//! name, and looks at what it printed and how it ended. So it is its own harness; it takes a filter as the usual one does.

#[cfg(unix)]
mod harness;
#[cfg(unix)]
mod restored;
#[cfg(unix)]
mod runner;
#[cfg(unix)]
mod test_unix_events;

fn main() {
    #[cfg(unix)]
    harness::main(&[runner::TESTS, restored::TESTS, test_unix_events::TESTS]);
}
