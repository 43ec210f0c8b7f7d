//! The loop's registered descriptors: what each is ready for, and who waits for it.
//!
//! A slot is one registration in the poller. Its [`SlotKey`], number and generation, is what the system
//! hands back with each event, so that an event for a registration that has ended meets nobody.
//!
//! Readiness is a state, not a message: an event sets it, and only who was told by the system that there is
//! no more clears it. So nothing is lost when a woken task is dropped before its turn; the next finds the
//! state. A consumer asks [`is_ready`](Slot::is_ready), tries, says [`exhausted`](Slot::exhausted) if there was
//! nothing, and [`wait`](Slots::wait)s; an event tells all who wait in that direction, first come, first
//! told. Who was told in vain, because another was faster, keeps its place among those who wait.
//!
//! What the kernel is asked to watch (`armed`) follows by the mode:
//!
//! ```text
//! Edge      both directions, once and for all
//! Level     a direction is added when somebody waits, and taken out when an event finds nobody waiting
//! Oneshot   an event ends the watching; it is renewed for each wait
//! ```
//!
//! In most cases one task waits in one direction: its waker stands in the slot itself, and stays there after it
//! was told, for the same task will wait again. (A task that ends keeps its memory, without its future and its
//! output, until the registration ends or another waits there.) Whoever comes while somebody stands there joins
//! a line of the slot's, which lives in one slab for the whole loop.
//!
//! The slots are plain cells at addresses that stay, so a consumer looks its slot up once, and nothing is
//! borrowed while it tries, nor while somebody is told, which may be others' code and come back here. No system
//! call is made in here: what the kernel is to be asked comes out as a [`Rearm`].

mod line;
mod slot;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::rc::Rc;
use std::task::Waker;

use line::{Lines, is_before};
pub(crate) use slot::Slot;

use super::reactor::{Arena, Direction, Event, Handle, Interest, PollMode, RawSource};

/// Names one registration, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotKey {
    index: u32,
    generation: u32,
}

/// How many bits of the system's key are the slot's number; the rest but one is the generation. The highest
/// bit stays clear: the highest keys are the poller's own.
const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };
const GENERATIONS: u32 = ((1u64 << (usize::BITS - 1 - INDEX_BITS)) - 1) as u32;

impl SlotKey {
    /// What the system is given to name the registration.
    pub(crate) fn as_usize(self) -> usize {
        (self.generation as usize) << INDEX_BITS | self.index as usize
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "takes apart what `as_usize` put together")]
    fn from_usize(key: usize) -> Self {
        let index = key & ((1usize << INDEX_BITS) - 1);
        Self { index: index as u32, generation: (key >> INDEX_BITS) as u32 }
    }
}

/// Names one waiter of one slot and direction, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterKey {
    /// Its place in the lines, or [`INLINE`].
    index: u32,
    serial: u32,
}

/// In the slot itself.
const INLINE: u32 = u32::MAX;

/// What happens at an event.
pub(crate) enum Watcher {
    /// A future goes on; once.
    Wake(Waker),
    /// `add_reader` and `add_writer`: called for each event, until it is removed.
    #[cfg_attr(not(unix), allow(dead_code, reason = "Unix has them only"))]
    Call(Rc<dyn Repeated>),
}

/// What `add_reader` and `add_writer` add.
pub(crate) trait Repeated {
    /// There was an event.
    fn due(self: Rc<Self>);
    /// It is over: what is due already is not done any more.
    fn end(&self);
}

/// A change of what the kernel watches, for the caller to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rearm {
    pub(crate) raw: RawSource,
    pub(crate) key: SlotKey,
    pub(crate) interest: Interest,
    pub(crate) mode: PollMode,
}

/// Who waits: a future with a key of its own, or a task that polls the owner itself.
pub(crate) enum Who<'a> {
    Future(&'a mut Option<WaiterKey>),
    /// One of several tasks that share the descriptor; known by its waker.
    Task,
    /// Who has the descriptor alone: the newest waker counts.
    Owner,
}

/// What a waiter is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Waker,
    Owner,
}

impl Who<'_> {
    #[inline]
    fn kind(&self) -> Kind {
        match self {
            Self::Future(_) => Kind::Key,
            Self::Task => Kind::Waker,
            Self::Owner => Kind::Owner,
        }
    }
}

/// Whose descriptor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A `Source`, which frees the slot when it goes.
    Source,
    /// Somebody else's, who may close it without a word: `add_reader` and `add_writer` watch it.
    #[cfg_attr(not(unix), allow(dead_code, reason = "Unix has them only"))]
    Callbacks,
}

/// See the module's description.
pub(crate) struct Slots {
    slots: Arena<Slot>,
    free: RefCell<Vec<u32>>,
    lines: RefCell<Lines>,
    waiting: Cell<usize>,
    serial: Cell<u32>,
    /// Which slot watches a number: whoever registers the number next shows that the former owner has closed it.
    by_raw: RefCell<HashMap<RawSource, u32>>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arena::new(),
            free: RefCell::default(),
            lines: RefCell::default(),
            waiting: Cell::new(0),
            serial: Cell::new(0),
            by_raw: RefCell::default(),
        }
    }

    /// Takes a slot for a registration that is about to be made. Nothing is known of its readiness, so both
    /// directions count as ready but those in `exhausted`.
    pub(crate) fn reserve(
        &self,
        owner: Owner,
        mode: PollMode,
        armed: Interest,
        exhausted: Interest,
    ) -> SlotKey {
        let free = self.free.borrow_mut().pop();
        // No system has 2^32 descriptors, and none of 32 bits 2^20.
        let index = free.unwrap_or_else(|| self.slots.push(Slot::new()) as u32);
        let slot = self.slot(index);
        slot.begin(owner, mode, armed, Interest::BOTH.without(exhausted));
        SlotKey { index, generation: slot.generation() }
    }

    /// The registration of a reserved slot has been made. What still stood under that number is a descriptor
    /// that was closed: its number is forgotten, and its watchers are given back.
    pub(crate) fn registered(&self, key: SlotKey, raw: RawSource) -> Vec<Watcher> {
        if let Some(slot) = self.get(key) {
            slot.raw.set(Some(raw));
        }
        let former = self.by_raw.borrow_mut().insert(raw, key.index);
        let Some(former) = former.filter(|former| *former != key.index) else { return Vec::new() };
        let slot = self.slot(former);
        slot.raw.set(None);
        match slot.owner() {
            // It frees its slot itself: word of that is on the way.
            Owner::Source => Vec::new(),
            Owner::Callbacks => self.free(SlotKey { index: former, generation: slot.generation() }),
        }
    }

    /// Ends a registration; gives those back who waited.
    pub(crate) fn free(&self, key: SlotKey) -> Vec<Watcher> {
        let Some(slot) = self.get(key).filter(|slot| slot.in_use()) else { return Vec::new() };
        slot.end();
        if let Some(raw) = slot.raw.take()
            && let Entry::Occupied(entry) = self.by_raw.borrow_mut().entry(raw)
            && *entry.get() == key.index
        {
            entry.remove();
        }
        let mut watchers = Vec::new();
        for side in &slot.sides {
            let (serial, first) = (side.serial.replace(0), side.first.take());
            let mut line = side.line.take();
            let mut all = Vec::new();
            while let Some(watcher) = line.pop(&mut self.lines.borrow_mut()) {
                all.push(watcher);
            }
            // A waker that was told already is only kept.
            let first = first.filter(|_| serial != 0);
            watchers.extend(in_order(serial, first, all));
        }
        self.count(-watchers.len().cast_signed());
        self.free.borrow_mut().push(key.index);
        watchers
    }

    /// Which slot a number is registered with, and whose it is.
    #[cfg(any(unix, test))]
    pub(crate) fn find(&self, raw: RawSource) -> Option<(SlotKey, Owner)> {
        let index = *self.by_raw.borrow().get(&raw)?;
        let slot = self.slot(index);
        Some((SlotKey { index, generation: slot.generation() }, slot.owner()))
    }

    /// The slot of a registration, unless that has ended.
    #[inline]
    pub(crate) fn get(&self, key: SlotKey) -> Option<&Slot> {
        // A free slot's generation is in no key yet.
        self.slots.get(key.index as usize).filter(|slot| slot.generation() == key.generation)
    }

    /// A short way to a slot, for its owner.
    pub(crate) fn handle(&self, key: SlotKey) -> Option<Handle<Slot>> {
        self.slots.handle(key.index as usize)
    }

    /// The slot at the end of a short way. It is the owner's as long as the owner has not freed it; but the loop
    /// may have, at its end.
    #[inline]
    pub(crate) fn at(&self, handle: &Handle<Slot>) -> Option<&Slot> {
        self.slots.at(handle)
    }

    fn slot(&self, index: u32) -> &Slot {
        self.slots.get(index as usize).expect("a number that was given out")
    }

    /// Stands in line where nobody does, with the waker that stands there from the last time. `false` if it takes
    /// more than that: [`wait`](Self::wait).
    #[inline]
    pub(crate) fn wait_again(
        &self,
        slot: &Slot,
        direction: Direction,
        who: &mut Who<'_>,
        waker: &Waker,
    ) -> bool {
        let side = &slot.sides[direction as usize];
        if slot.is_waited_for(direction) || !slot.is_armed(direction) {
            return false;
        }
        let Some(kept) = side.first.take() else { return false };
        let same = kept.will_wake(waker);
        side.first.set(Some(kept));
        if same {
            self.stand(slot, direction, who);
        }
        same
    }

    /// Stands in line, or goes on standing there with another waker. Gives back the waker that is not needed any
    /// more, and what the kernel has to be asked to watch.
    pub(crate) fn wait(
        &self,
        slot: &Slot,
        key: SlotKey,
        direction: Direction,
        mut who: Who<'_>,
        waker: &Waker,
    ) -> (Option<Waker>, Option<Rearm>) {
        if slot.is_waited_for(direction) {
            return self.wait_in_line(slot, key, direction, who, waker);
        }
        // Its clone may be others' code: nothing is borrowed, and nobody stands there yet.
        let waker = waker.clone();
        if slot.is_waited_for(direction) {
            return self.wait_in_line(slot, key, direction, who, &waker);
        }
        self.stand(slot, direction, &mut who);
        (slot.sides[direction as usize].first.replace(Some(waker)), slot.arm(key, direction))
    }

    #[inline]
    fn stand(&self, slot: &Slot, direction: Direction, who: &mut Who<'_>) {
        let side = &slot.sides[direction as usize];
        let serial = match who {
            Who::Future(waiter) => {
                let serial = self.serial_of(waiter);
                **waiter = Some(WaiterKey { index: INLINE, serial });
                serial
            }
            Who::Task | Who::Owner => self.next_serial(),
        };
        side.serial.set(serial);
        side.kind.set(who.kind());
        slot.is_waited_for_now(direction);
        self.count(1);
    }

    /// A future that was told in vain, because others were faster, keeps its place among those who wait.
    #[inline]
    fn serial_of(&self, waiter: &Option<WaiterKey>) -> u32 {
        waiter.map_or_else(|| self.next_serial(), |waiter| waiter.serial)
    }

    /// Leaves the line; gives the waker back, unless it was told already.
    #[inline]
    pub(crate) fn leave(&self, key: SlotKey, direction: Direction, waiter: WaiterKey) -> Option<Watcher> {
        let slot = self.get(key)?;
        let side = &slot.sides[direction as usize];
        let watcher = if waiter.index != INLINE {
            let mut line = side.line.get();
            let watcher = line.leave(&mut self.lines.borrow_mut(), waiter)?;
            side.line.set(line);
            watcher
        } else if side.serial.get() == waiter.serial {
            side.serial.set(0);
            Watcher::Wake(side.first.take()?)
        } else {
            return None;
        };
        slot.look_who_waits(direction);
        self.count(-1);
        Some(watcher)
    }

    /// Notes an event and tells whom it concerns, in order. `tell` may give the waker back, to be kept for the
    /// next time, if it ran nobody else's code. Says what the kernel has to be asked to watch.
    #[inline]
    pub(crate) fn note(
        &self,
        event: Event,
        mut tell: impl FnMut(Waker) -> Option<Waker>,
    ) -> Option<(&Slot, Rearm)> {
        let key = SlotKey::from_usize(event.key);
        let slot = self.get(key)?;
        slot.note(event);
        if slot.mode() != PollMode::Edge {
            return self.tell_and_rearm(slot, key, event, &mut tell);
        }
        self.tell_all(slot, key, event.ready, &mut tell);
        None
    }

    /// Where an event changes what the kernel watches.
    #[cold]
    fn tell_and_rearm(
        &self,
        slot: &Slot,
        key: SlotKey,
        event: Event,
        tell: &mut impl FnMut(Waker) -> Option<Waker>,
    ) -> Option<(&Slot, Rearm)> {
        let before = slot.wanted();
        self.tell_all(slot, key, event.ready, tell);
        // Others' code may have ended the registration, or begun to wait for it.
        let slot = self.get(key)?;
        Some((slot, slot.rearm_after(key, event.ready, before.with(slot.wanted()))?))
    }

    #[inline]
    fn tell_all(
        &self,
        slot: &Slot,
        key: SlotKey,
        ready: Interest,
        tell: &mut impl FnMut(Waker) -> Option<Waker>,
    ) {
        if ready.contains(Direction::Read) && slot.is_waited_for(Direction::Read) {
            self.tell(slot, Direction::Read, tell);
        }
        // Hardly anybody waits to write, and nearly every event says that it is possible.
        if ready.contains(Direction::Write) && slot.is_waited_for(Direction::Write) {
            self.tell_writers(slot, key, tell);
        }
    }

    /// Sets who is told of each event in one direction, or that nobody is; gives the former one back. The
    /// caller asks the kernel to watch for what is [`wanted`](Slot::wanted).
    #[cfg(any(unix, test))]
    pub(crate) fn set_repeating(
        &self,
        key: SlotKey,
        direction: Direction,
        call: Option<Rc<dyn Repeated>>,
    ) -> Option<Watcher> {
        let slot = self.get(key)?;
        let side = &slot.sides[direction as usize];
        let lines = &mut *self.lines.borrow_mut();
        let mut line = side.line.get();
        let former = line.pop(lines).map(|(_, former)| former);
        self.count(isize::from(call.is_some()) - isize::from(former.is_some()));
        if let Some(call) = call {
            line.join(lines, self.next_serial(), Kind::Key, Watcher::Call(call));
        }
        side.line.set(line);
        slot.look_who_waits(direction);
        slot.armed.set(slot.wanted());
        former
    }

    /// How many wait for something from outside.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Registered descriptors.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.borrow().len()
    }

    /// Whether no descriptor is registered.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends everything, for the end of the loop: the watchers to drop, and the numbers that `add_reader` and
    /// `add_writer` have registered.
    pub(crate) fn close(&self) -> (Vec<Watcher>, Vec<RawSource>) {
        let (mut watchers, mut raws) = (Vec::new(), Vec::new());
        for index in 0..self.slots.len() as u32 {
            let slot = self.slot(index);
            if slot.owner() == Owner::Callbacks {
                raws.extend(slot.raw.get());
            }
            watchers.append(&mut self.free(SlotKey { index, generation: slot.generation() }));
        }
        (watchers, raws)
    }

    #[inline]
    fn count(&self, by: isize) {
        self.waiting.set(self.waiting.get().wrapping_add_signed(by));
    }

    /// Never 0. A key would have to be kept while 2^32 others come and go to be mistaken for another's.
    #[inline]
    fn next_serial(&self) -> u32 {
        let serial = self.serial.get().wrapping_add(1).max(1);
        self.serial.set(serial);
        serial
    }

    /// Where somebody waits already: maybe the very same.
    #[cold]
    fn wait_in_line(
        &self,
        slot: &Slot,
        key: SlotKey,
        direction: Direction,
        who: Who<'_>,
        waker: &Waker,
    ) -> (Option<Waker>, Option<Rearm>) {
        let side = &slot.sides[direction as usize];
        // Before anything is borrowed: it may be others' code.
        let waker = waker.clone();
        let first = side.first.take();
        let kind = who.kind();
        let may_be = side.serial.get() != 0 && side.kind.get() == kind;
        let stands_first = first.as_ref().filter(|_| may_be).is_some_and(|first| match &who {
            Who::Future(waiter) => waiter.is_some_and(|w| w.index == INLINE && w.serial == side.serial.get()),
            Who::Task => first.will_wake(&waker),
            Who::Owner => true,
        });
        if stands_first {
            side.first.set(Some(waker));
            return (first, slot.arm(key, direction));
        }
        side.first.set(first);
        let lines = &mut *self.lines.borrow_mut();
        let mut line = side.line.get();
        let standing = match &who {
            Who::Future(Some(waiter)) => line.waker_of(lines, *waiter),
            Who::Future(None) => None,
            Who::Task => line.waker_of_kind(lines, kind, |own| own.will_wake(&waker)),
            Who::Owner => line.waker_of_kind(lines, kind, |_| true),
        };
        if let Some(standing) = standing {
            return (Some(mem::replace(standing, waker)), slot.arm(key, direction));
        }
        let serial = match &who {
            Who::Future(waiter) => self.serial_of(waiter),
            Who::Task | Who::Owner => self.next_serial(),
        };
        let index = line.join(lines, serial, kind, Watcher::Wake(waker));
        side.line.set(line);
        slot.is_waited_for_now(direction);
        if let Who::Future(waiter) = who {
            *waiter = Some(WaiterKey { index, serial });
        }
        self.count(1);
        (None, slot.arm(key, direction))
    }

    #[inline]
    fn tell(&self, slot: &Slot, direction: Direction, tell: &mut impl FnMut(Waker) -> Option<Waker>) {
        let side = &slot.sides[direction as usize];
        if !side.line.get().is_empty() {
            return self.tell_line(slot, direction, &mut |waker| tell(waker));
        }
        if side.serial.replace(0) != 0 {
            slot.look_who_waits(direction);
            self.count(-1);
            if let Some(first) = side.first.take()
                && let Some(kept) = tell(first)
            {
                side.first.set(Some(kept));
            }
        }
    }

    #[cold]
    fn tell_writers(&self, slot: &Slot, key: SlotKey, tell: &mut impl FnMut(Waker) -> Option<Waker>) {
        // Telling the readers may have ended the registration.
        if slot.generation() == key.generation {
            self.tell(slot, Direction::Write, &mut |waker| tell(waker));
        }
    }

    /// Where several wait: takes those out who are told once; who is called again and again stays.
    #[cold]
    fn tell_line(&self, slot: &Slot, direction: Direction, tell: &mut dyn FnMut(Waker) -> Option<Waker>) {
        let side = &slot.sides[direction as usize];
        let serial = side.serial.replace(0);
        let first = if serial == 0 { None } else { side.first.take() };
        let mut line = side.line.get();
        let due = line.due(&mut self.lines.borrow_mut());
        side.line.set(line);
        slot.look_who_waits(direction);
        for watcher in in_order(serial, first, due) {
            match watcher {
                Watcher::Wake(waker) => {
                    self.count(-1);
                    drop(tell(waker));
                }
                Watcher::Call(call) => call.due(),
            }
        }
    }
}

/// Who stands first, and the line: some in it may have come before, and were told before, in vain.
fn in_order(
    serial: u32,
    first: Option<Waker>,
    mut line: Vec<(u32, Watcher)>,
) -> impl Iterator<Item = Watcher> {
    if let Some(first) = first {
        let at = line.iter().position(|(other, _)| is_before(serial, *other)).unwrap_or(line.len());
        line.insert(at, (serial, Watcher::Wake(first)));
    }
    line.into_iter().map(|(_, watcher)| watcher)
}

#[cfg(test)]
mod tests;
