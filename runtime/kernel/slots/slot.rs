//! One slot: what a registered descriptor is ready for, and who stands there.

use std::cell::Cell;
use std::task::Waker;

use super::line::Line;
use super::{GENERATIONS, INLINE, Kind, Owner, Rearm, SlotKey, Who};
use crate::kernel::reactor::{Direction, Event, Interest, PollMode, RawSource};

/// See the module's description.
///
/// In this order all that reading needs is in one line of the processor's cache: with a thousand connections each
/// line is fetched anew for every request.
#[repr(C, align(64))]
pub(crate) struct Slot {
    generation: Cell<u32>,
    ready: Cell<Interest>,
    pub(super) armed: Cell<Interest>,
    /// Where somebody waits, as the sides say it.
    waited: Cell<Interest>,
    /// In edge mode a short read is not the end of what there is, once this is set.
    split: Cell<bool>,
    in_use: Cell<bool>,
    mode: Cell<PollMode>,
    owner: Cell<Owner>,
    /// The descriptor's number; `None` if it turned out to be somebody else's by now.
    pub(super) raw: Cell<Option<RawSource>>,
    pub(super) sides: [Side; 2],
}

/// Those who wait in one direction.
pub(super) struct Side {
    /// Who came first; or who did the last time, if `serial` is 0.
    pub(super) first: Cell<Option<Waker>>,
    pub(super) serial: Cell<u32>,
    pub(super) kind: Cell<Kind>,
    pub(super) line: Cell<Line>,
}

impl Side {
    fn new() -> Self {
        Self {
            first: Cell::new(None),
            serial: Cell::new(0),
            kind: Cell::new(Kind::Key),
            line: Cell::new(Line::EMPTY),
        }
    }
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            generation: Cell::new(0),
            ready: Cell::new(Interest::NONE),
            armed: Cell::new(Interest::NONE),
            waited: Cell::new(Interest::NONE),
            split: Cell::new(false),
            in_use: Cell::new(false),
            mode: Cell::new(PollMode::Edge),
            owner: Cell::new(Owner::Source),
            raw: Cell::new(None),
            sides: [Side::new(), Side::new()],
        }
    }

    /// For a new registration.
    pub(super) fn begin(&self, owner: Owner, mode: PollMode, armed: Interest, ready: Interest) {
        self.in_use.set(true);
        self.owner.set(owner);
        self.mode.set(mode);
        self.armed.set(armed);
        self.ready.set(ready);
        self.split.set(false);
        self.raw.set(None);
    }

    /// No key leads here any more.
    pub(super) fn end(&self) {
        self.in_use.set(false);
        self.waited.set(Interest::NONE);
        self.generation.set(self.generation.get().wrapping_add(1) & GENERATIONS);
    }

    #[inline]
    pub(super) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Whether it stands for a registration.
    pub(crate) fn in_use(&self) -> bool {
        self.in_use.get()
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner.get()
    }

    #[inline]
    pub(super) fn mode(&self) -> PollMode {
        self.mode.get()
    }

    /// Whether it is worth trying.
    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.ready.get().contains(direction)
    }

    /// The system has said that there is nothing more.
    #[inline]
    pub(crate) fn exhausted(&self, direction: Direction) {
        self.ready.set(self.ready.get().without(Interest::of(direction)));
    }

    /// A read came up short: there is nothing more, unless it stopped at something.
    #[inline]
    pub(crate) fn drained(&self, direction: Direction) {
        if !(self.split.get() && self.mode.get() == PollMode::Edge) {
            self.exhausted(direction);
        }
    }

    #[inline]
    pub(super) fn note(&self, event: Event) {
        self.ready.set(self.ready.get().with(event.ready));
        if event.split {
            self.split.set(true);
        }
    }

    /// The kernel could not be asked to watch: the next who waits tries again.
    pub(crate) fn disarmed(&self) {
        self.armed.set(Interest::NONE);
    }

    /// The directions in which somebody waits.
    #[inline]
    pub(crate) fn wanted(&self) -> Interest {
        self.waited.get()
    }

    #[inline]
    pub(super) fn is_waited_for(&self, direction: Direction) -> bool {
        self.waited.get().contains(direction)
    }

    /// Somebody has begun to wait.
    #[inline]
    pub(super) fn is_waited_for_now(&self, direction: Direction) {
        self.waited.set(self.waited.get().with(Interest::of(direction)));
    }

    /// Somebody has left, or was told.
    #[inline]
    pub(super) fn look_who_waits(&self, direction: Direction) {
        let side = &self.sides[direction as usize];
        let others = self.waited.get().without(Interest::of(direction));
        let anybody = side.serial.get() != 0 || !side.line.get().is_empty();
        self.waited.set(if anybody { others.with(Interest::of(direction)) } else { others });
    }

    #[inline]
    pub(crate) fn is_armed(&self, direction: Direction) -> bool {
        self.armed.get().contains(direction)
    }

    /// Clears the key of a waiter who was told already.
    #[inline]
    pub(crate) fn forget_told(&self, direction: Direction, who: &mut Who<'_>) {
        if let Who::Future(waiter) = who
            && waiter
                .is_some_and(|w| w.index == INLINE && w.serial != self.sides[direction as usize].serial.get())
        {
            **waiter = None;
        }
    }

    /// Has the kernel watch for what somebody has begun to wait for.
    #[inline]
    pub(super) fn arm(&self, key: SlotKey, direction: Direction) -> Option<Rearm> {
        let armed = self.armed.get();
        if armed.contains(direction) {
            return None;
        }
        self.armed.set(armed.with(Interest::of(direction)));
        self.rearm(key)
    }

    /// What the kernel has to be asked to watch after an event; `waited_for` is for what somebody waited before.
    pub(super) fn rearm_after(&self, key: SlotKey, ready: Interest, waited_for: Interest) -> Option<Rearm> {
        let before = self.armed.get();
        let armed = match self.mode.get() {
            PollMode::Edge => return None,
            PollMode::Level => before.without(ready.without(waited_for)),
            PollMode::Oneshot => self.wanted(),
        };
        self.armed.set(armed);
        let changed = if self.mode.get() == PollMode::Oneshot { !armed.is_empty() } else { armed != before };
        if changed { self.rearm(key) } else { None }
    }

    /// In words.
    pub(crate) fn what_is_waited_for(&self, direction: Direction) -> String {
        let how = match direction {
            Direction::Read => "readable",
            Direction::Write => "writable",
        };
        match self.raw.get() {
            Some(raw) => format!("descriptor {raw} to be {how}"),
            None => format!("a descriptor to be {how}"),
        }
    }

    fn rearm(&self, key: SlotKey) -> Option<Rearm> {
        let (interest, mode) = (self.armed.get(), self.mode.get());
        self.raw.get().map(|raw| Rearm { raw, key, interest, mode })
    }
}
