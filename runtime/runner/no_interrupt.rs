//! Where there are no signals, nothing interrupts: the face of `interrupt.rs`.

use std::cell::Cell;
use std::rc::Rc;

use crate::kernel::{LoopHandle, RunError, TaskRef};

pub(super) struct Interrupted;

impl Interrupted {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn cancels(&self, _: &TaskRef, _: &LoopHandle) {}

    pub(super) fn says_enough(&self, _: &LoopHandle, _: &Rc<Cell<bool>>) {}

    pub(super) fn once(&self) -> bool {
        false
    }

    pub(super) fn twice(&self) -> bool {
        false
    }

    pub(super) fn settle<T>(&self, output: Result<T, RunError>) -> Result<T, RunError> {
        output
    }
}
