//! Signals, as streams and as callbacks. Unix only.
//!
//! [`signal`] gives a stream of one kind of signal,
//! [`LoopHandle::add_signal_handler`](crate::LoopHandle::add_signal_handler) calls back, and [`ctrl_c`] waits for the
//! next SIGINT. Any number of loops, on any threads, may listen to one signal; all of them hear it.
//!
//! How it works: a listener has a handler of our own installed, the process's first for that signal; the last
//! one to leave puts back what was there before. The handler writes the signal's number into a pipe of each
//! loop that listens, and then calls the handler that was there before, if it was a function. The loop watches its
//! pipe like any descriptor, so a signal ends the wait of a loop that sleeps, and what listens runs as an ordinary
//! entry of the FIFO, never in the middle of other code. System calls that a signal interrupts are restarted.
//!
//! While somebody listens to a signal, its former default action (mostly: the end of the process) does not happen.
//!
//! # Other handlers of the program
//! A handler that is installed while somebody listens here takes the place of ours, so it has the signal, unless it calls ours.
//! It stays when the last listener leaves. A new listener takes the place again; such a handler is not called
//! then, since it may call ours. Code that saves a signal's action and puts it back later, as C's `system` does, may do so
//! when the last listener has left: the signal then does what it did before anybody listened.
//!
//! # Children made by `fork`
//! A child that calls `exec` (all that `std::process` starts) has the default actions again. One that goes on as a
//! copy of its parent never writes into its parent's pipes; a signal it gets, and nobody in it has listened to,
//! does what it did before the parent listened. It may make loops and listen for itself.
//!
//! ```text
//! gate.rs         who may write to a loop's pipe, and how long its owner waits until nobody does
//! post_box.rs     what the handler sees of one loop: a pipe, and which signals it wants
//! unix.rs         the handler, and the system calls                              [unsafe]
//! registry.rs     which signals are listened to in this process: install, restore
//! loop_signals.rs a loop's pipe and its listeners
//! stream.rs       Signals, ctrl_c;  handlers.rs: callbacks;  interrupts.rs: the Runner's SIGINT
//! ```
//!
//! # asyncio
//! `loop.add_signal_handler`, which works on the process's main thread only, and the signal module's names.

mod gate;
mod handlers;
mod interrupts;
mod kind;
mod loop_signals;
mod post_box;
mod registry;
mod stream;
#[expect(unsafe_code, reason = "the handler: sigaction, write, and the former handler's call")]
mod unix;

#[cfg(all(test, loom))]
mod loom;

pub use kind::Signal;
pub use stream::{Signals, ctrl_c, signal};

pub(crate) use interrupts::Interrupts;
