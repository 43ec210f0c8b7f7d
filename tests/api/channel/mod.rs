//! Channels between tasks: exact order, ends, cancellation, and foreign code that uses them in the middle.

mod broadcast;
mod foreign;
mod fused;
mod mpsc;
mod oneshot;
mod watch;
