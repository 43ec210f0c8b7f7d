//! SIGINT as the [`Runner`](crate::Runner) has it: when nobody else listens, on the process's main thread only.

use std::rc::Rc;

use super::loop_signals::LoopSignals;
use super::{registry, unix};
use crate::kernel::LoopHandle;

/// While this lives, a SIGINT that nobody listens to calls a hook, inside of the loop. One that comes before
/// the loop has even noticed the one before ends the process.
pub(crate) struct Interrupts {
    signals: Rc<LoopSignals>,
}

impl Interrupts {
    /// `None` where it is not for a runner to take: on another thread, or if SIGINT already has an action; and
    /// if the system refuses, since a program is to run all the same.
    pub(crate) fn start(handle: &LoopHandle, hook: impl Fn() + 'static) -> Option<Self> {
        let process = std::process::id();
        if !unix::on_main_thread(process) || !registry::is_default(libc::SIGINT, process) {
            return None;
        }
        let signals = LoopSignals::of(handle, process).ok()?;
        signals.add_interrupts(Rc::new(hook), process).ok()?;
        Some(Self { signals })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.signals.remove_interrupts();
    }
}
