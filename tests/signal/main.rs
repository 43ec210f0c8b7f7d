//! Signals that are really raised. They are the process's, so the tests of this binary take turns; what needs the
//! process's main thread, or ends the process, is in `tests/interrupts`.

#![cfg(unix)]

mod sharing;
mod streams;
mod support;
mod test_events;
mod test_unix_events;
