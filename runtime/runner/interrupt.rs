//! What Ctrl-C does to a run. All of it happens inside of the loop: the signal handler only wrote a byte.

use std::cell::Cell;
use std::rc::Rc;

use crate::kernel::{LoopHandle, RunError, TaskRef};
use crate::signal::Interrupts;

/// How often a run was interrupted, and whom that cancelled.
pub(super) struct Interrupted {
    count: Rc<Cell<u32>>,
    main: Cell<Option<TaskRef>>,
}

impl Interrupted {
    pub(super) fn new() -> Self {
        Self { count: Rc::default(), main: Cell::new(None) }
    }

    /// While what this returns lives, the first interrupt cancels `main`, and the next one stops the loop.
    pub(super) fn cancels(&self, main: &TaskRef, handle: &LoopHandle) -> Option<Interrupts> {
        self.main.set(Some(main.clone()));
        let (count, main, stopped) = (self.count.clone(), main.clone(), handle.clone());
        start(handle, move || {
            count.set(count.get() + 1);
            if count.get() == 1 {
                main.cancel();
            } else {
                stopped.stop();
            }
        })
    }

    /// While what this returns lives, an interrupt sets a flag.
    pub(super) fn says_enough(&self, handle: &LoopHandle, enough: &Rc<Cell<bool>>) -> Option<Interrupts> {
        let (count, enough) = (self.count.clone(), enough.clone());
        start(handle, move || {
            count.set(count.get() + 1);
            enough.set(true);
        })
    }

    pub(super) fn once(&self) -> bool {
        self.count.get() > 0
    }

    pub(super) fn twice(&self) -> bool {
        self.count.get() > 1
    }

    /// How the run has ended, seen with what was asked for from outside: only what the interrupt alone has
    /// cancelled was interrupted.
    pub(super) fn settle<T>(&self, output: Result<T, RunError>) -> Result<T, RunError> {
        if self.twice() {
            return Err(RunError::Interrupted);
        }
        match output {
            Err(RunError::Cancelled(_))
                if self.once() && self.main.take().is_some_and(|main| main.uncancel() == 0) =>
            {
                Err(RunError::Interrupted)
            }
            output => output,
        }
    }
}

/// On the virtual clock a run is the same every time, whatever keys are pressed.
fn start(handle: &LoopHandle, hook: impl Fn() + 'static) -> Option<Interrupts> {
    let real = handle.loop_ref().with(|home| !home.time.is_virtual()).unwrap_or(false);
    if real { Interrupts::start(handle, hook) } else { None }
}
