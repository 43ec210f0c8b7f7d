//! Channels between tasks: exact order, ends, cancellation, and foreign code that uses them in the middle.

mod broadcast;
mod foreign;
mod mpsc;
mod oneshot;
mod watch;
