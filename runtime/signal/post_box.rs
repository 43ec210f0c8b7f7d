//! What the signal handler sees of one loop.
//!
//! A post box has the number of the loop's pipe, and which signals the loop wants. Each signal is one byte in the
//! pipe, so the loop hears of them in the order in which they came, as often as they came. Should the pipe be full,
//! which takes a loop that has not looked for tens of thousands of signals, the rest is noted in a set of bits, each
//! signal once, and is heard at the next look. A byte that means nothing is then tried again, for the case that the
//! loop has emptied the pipe before the bit was set.
//!
//! Boxes are made when more loops listen than ever before, used again, and never freed: the handler may look at any
//! of them at any time. What a box points to is looked at inside of its gate only.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::gate::{Gate, Visitor};

/// The byte, and the wish, for a SIGINT that nobody listens to: the `Runner`'s.
pub(super) const INTERRUPT: u8 = 0;
/// A byte that means nothing but "look".
pub(super) const LOOK: u8 = u8::MAX;

/// A set of signals, for several threads.
pub(super) struct Bits([AtomicU32; 4]);

/// Numbers below this fit into a set; no Unix has higher ones.
pub(super) const NUMBERS: usize = 128;

impl Bits {
    const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 4])
    }

    fn place(&self, number: u8) -> Option<(&AtomicU32, u32)> {
        Some((self.0.get(usize::from(number) / 32)?, 1 << (number % 32)))
    }

    fn set(&self, number: u8) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }

    fn clear(&self, number: u8) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    fn has(&self, number: u8) -> bool {
        self.place(number).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    /// All of them, which are gone from here then.
    fn take(&self) -> Vec<u8> {
        let take = |word: &AtomicU32| {
            if word.load(Ordering::Acquire) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) }
        };
        let words = self.0.each_ref().map(take);
        if words == [0; 4] {
            return Vec::new();
        }
        let has = |number: &u8| words[usize::from(*number) / 32] & (1 << (number % 32)) != 0;
        (0..NUMBERS as u8).filter(has).collect()
    }
}

/// See the module's description.
pub(super) struct PostBox {
    gate: Gate,
    /// The writing end of the loop's pipe, while the gate is open.
    pipe: AtomicI32,
    /// The process whose loop it is.
    process: AtomicU32,
    wanted: Bits,
    overflow: Bits,
    /// A SIGINT for the `Runner` was put in and not noticed yet. A byte for it without this means nothing.
    interrupted: AtomicBool,
    /// It is some loop's. Changed by the registry only, under its lock.
    pub(super) taken: AtomicBool,
    /// The next one in the list of all.
    pub(super) next: Option<&'static Self>,
}

impl PostBox {
    pub(super) fn new(next: Option<&'static Self>) -> Self {
        Self {
            gate: Gate::new(),
            pipe: AtomicI32::new(-1),
            process: AtomicU32::new(0),
            wanted: Bits::new(),
            overflow: Bits::new(),
            interrupted: AtomicBool::new(false),
            taken: AtomicBool::new(true),
            next,
        }
    }

    /// From here on until [`close`](Self::close) handlers may write to `pipe`.
    pub(super) fn open(&self, pipe: RawFd, process: u32) {
        self.wanted.take();
        self.overflow.take();
        self.interrupted.store(false, Ordering::Relaxed);
        self.pipe.store(pipe, Ordering::Relaxed);
        self.process.store(process, Ordering::Relaxed);
        self.gate.open();
    }

    /// Nobody writes to the pipe any more when this returns.
    pub(super) fn close(&self, process: u32) {
        if self.process.load(Ordering::Relaxed) == process {
            self.gate.close();
        } else {
            self.gate.close_in_child();
        }
        self.pipe.store(-1, Ordering::Relaxed);
    }

    pub(super) fn want(&self, number: u8) {
        self.wanted.set(number);
    }

    pub(super) fn want_no_more(&self, number: u8) {
        self.wanted.clear(number);
    }

    /// What did not fit into the pipe.
    pub(super) fn take_overflow(&self) -> Vec<u8> {
        self.overflow.take()
    }

    /// Notes that the loop has seen the `Runner`'s SIGINT; says whether there was one that it had not seen.
    pub(super) fn notice(&self) -> bool {
        self.interrupted.swap(false, Ordering::AcqRel)
    }

    /// For the handler: goes in, if it is a loop of this process.
    pub(super) fn enter(&self, process: u32) -> Option<Inside<'_>> {
        let visitor = self.gate.enter()?;
        let ours = self.process.load(Ordering::Relaxed) == process;
        ours.then_some(Inside { post_box: self, _visitor: visitor })
    }
}

/// The handler's view: as long as it lives, the pipe is open. Nothing in here locks or allocates.
pub(super) struct Inside<'a> {
    post_box: &'a PostBox,
    _visitor: Visitor<'a>,
}

impl Inside<'_> {
    pub(super) fn wants(&self, number: u8) -> bool {
        self.post_box.wanted.has(number)
    }

    /// Puts a signal in. `write` tries to write a byte to a pipe and says whether it did.
    pub(super) fn put(&self, number: u8, write: impl Fn(RawFd, u8) -> bool) {
        let pipe = self.post_box.pipe.load(Ordering::Relaxed);
        if !write(pipe, number) {
            self.post_box.overflow.set(number);
            write(pipe, LOOK);
        }
    }

    /// Puts the `Runner`'s SIGINT in, and says whether there was none that it has not even noticed.
    pub(super) fn interrupt(&self, write: impl Fn(RawFd, u8) -> bool) -> bool {
        if self.post_box.interrupted.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.put(INTERRUPT, write);
        true
    }
}
