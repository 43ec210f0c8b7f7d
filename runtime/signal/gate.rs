//! A gate that any number of handlers may be inside of, until its owner closes it and waits for them.
//!
//! One word: a bit that says whether the gate is open, and the number of visitors. Whoever wants in adds itself
//! by an exchange that fails once the bit is gone; so after the owner has taken the bit away, the number can only
//! fall, and the owner's wait ends as soon as those who are inside have written their byte. A visitor is a signal
//! handler: it waits for nothing, so nothing here can wait for ever. It may run on the owner's own thread, but then
//! it comes and goes between two of the owner's instructions.
//!
//! Why it is enough: opening releases what the owner has written before (the pipe's number), entering acquires it.
//! Leaving releases what the visitor did, and the owner acquires it with the zero it waits for. So no write to
//! the pipe can come after the owner has begun to close the pipe. `loom.rs` checks that.

#[cfg(all(test, loom))]
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::yield_now,
};
#[cfg(not(all(test, loom)))]
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::yield_now,
};

const OPEN: usize = 1;
const VISITOR: usize = 2;

/// See the module's description.
pub(super) struct Gate {
    word: AtomicUsize,
}

impl Gate {
    /// A closed one.
    pub(super) fn new() -> Self {
        Self { word: AtomicUsize::new(0) }
    }

    /// Lets visitors in.
    pub(super) fn open(&self) {
        self.word.fetch_or(OPEN, Ordering::Release);
    }

    /// Goes in, if it is open. To be called in a signal handler: an atomic or two, and no more.
    pub(super) fn enter(&self) -> Option<Visitor<'_>> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & OPEN != 0 {
            let entered = word + VISITOR;
            match self.word.compare_exchange_weak(word, entered, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Visitor { gate: self }),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Lets nobody in any more, and waits until nobody is inside.
    pub(super) fn close(&self) {
        self.word.fetch_and(!OPEN, Ordering::Relaxed);
        while self.word.load(Ordering::Acquire) != 0 {
            yield_now();
        }
    }

    /// Closes it without a wait, where visitors cannot be: in a forked child the parent's other threads have
    /// not come along, and those of them that were inside never leave.
    pub(super) fn close_in_child(&self) {
        self.word.store(0, Ordering::Relaxed);
    }
}

/// Somebody inside of a gate, until this is dropped.
pub(super) struct Visitor<'a> {
    gate: &'a Gate,
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.gate.word.fetch_sub(VISITOR, Ordering::Release);
    }
}
