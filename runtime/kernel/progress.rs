//! How far a write has come, for debug mode: one that is dropped halfway has written what nobody can take back.

use std::io;

use super::context::with_current;
use super::debug::DebugReport;
use super::task::current_task;

/// The progress of an operation that writes all or fails. Dropped in between, it says so in debug mode.
pub(crate) struct Progress {
    what: &'static str,
    written: usize,
    of: usize,
}

impl Progress {
    pub(crate) fn new(what: &'static str, of: usize) -> Self {
        Self { what, written: 0, of }
    }

    /// Takes note of what a call has written. Of an error its caller hears.
    #[inline]
    pub(crate) fn note(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        match &written {
            Ok(n) => self.written += n,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.of = self.written,
        }
        written
    }
}

impl Drop for Progress {
    #[inline]
    fn drop(&mut self) {
        if 0 < self.written && self.written < self.of {
            tell(self);
        }
    }
}

#[cold]
fn tell(progress: &Progress) {
    with_current(|_, home| {
        if home.debug.is_on() {
            let &Progress { what, written, of } = progress;
            let task = current_task(home).map(|task| task.info());
            home.debug.tell(&DebugReport::HalfWritten { what, written, of, task });
        }
    });
}
