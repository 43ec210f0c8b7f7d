//! Channels between tasks: exact order, ends, cancellation, and foreign code that uses them in the middle.

mod broadcast;
#[expect(unsafe_code, reason = "a waker that acts when it is cloned")]
mod foreign;
mod mpsc;
mod oneshot;
mod watch;
