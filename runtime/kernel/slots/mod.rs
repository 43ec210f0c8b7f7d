//! The loop's registered descriptors: what each is ready for, and who waits for it.
//!
//! A slot is one registration in the poller. Its [`SlotKey`], number and generation, is what the system
//! hands back with each event, so that an event for a registration that has ended meets nobody.
//!
//! Readiness is a state, not a message: an event sets it, and only who was told by the system that there is
//! no more clears it. So nothing is lost when a woken task is dropped before its turn; the next finds the
//! state. A consumer asks [`is_ready`](Slots::is_ready), tries, [`exhausted`](Slots::exhausted) if there was
//! nothing, and [`wait`](Slots::wait)s; an event wakes all who wait in that direction, first come, first
//! woken.
//!
//! What the kernel is asked to watch (`armed`) follows by the mode:
//!
//! ```text
//! Edge      both directions, once and for all
//! Level     a direction is added when somebody waits, and taken out when an event finds nobody waiting
//! Oneshot   an event ends the watching; it is renewed for each wait
//! ```
//!
//! All waiters of a loop live in one slab, each slot links its own; so an idle connection costs a slot and
//! at most a waiter. Data only: no system call, no waker is called or dropped in here. Whoever gets something
//! back calls or drops it after the borrow has ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

use super::reactor::{Direction, Event, Interest, PollMode, RawSource};

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

    #[expect(clippy::cast_possible_truncation, reason = "takes apart what `as_usize` put together")]
    fn from_usize(key: usize) -> Self {
        let index = key & ((1usize << INDEX_BITS) - 1);
        Self { index: index as u32, generation: (key >> INDEX_BITS) as u32 }
    }
}

/// Names one waiter, for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterKey {
    index: u32,
    serial: u32,
}

/// What happens at an event.
pub(crate) enum Watcher {
    /// A future goes on; once.
    Wake(Waker),
    /// `add_reader` and `add_writer`: called for each event, until it is removed.
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
    /// Known by its waker.
    Task,
}

/// Whose descriptor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A `Source`, which frees the slot when it goes.
    Source,
    /// Somebody else's, who may close it without a word: `add_reader` and `add_writer` watch it.
    Callbacks,
}

struct Slot {
    generation: u32,
    mode: PollMode,
    owner: Owner,
    in_use: bool,
    /// The descriptor's number; `None` if it turned out to be somebody else's by now.
    raw: Option<RawSource>,
    ready: Interest,
    armed: Interest,
    /// In edge mode a short read is not the end of what there is, once this is set.
    ended: bool,
    sides: [Side; 2],
}

/// Those who wait in one direction, linked through the waiters' slab.
#[derive(Clone, Copy)]
struct Side {
    head: u32,
    tail: u32,
}

struct Waiter {
    watcher: Watcher,
    serial: u32,
    slot: u32,
    direction: Direction,
    next: u32,
    prev: u32,
}

const NIL: u32 = u32::MAX;

impl Side {
    const EMPTY: Self = Self { head: NIL, tail: NIL };

    fn is_empty(&self) -> bool {
        self.head == NIL
    }
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    waiters: Slab<Waiter>,
    serial: u32,
    /// Which slot watches a number: whoever registers the number next shows that the former owner has closed it.
    by_raw: HashMap<RawSource, u32>,
}

/// See the module's description.
#[derive(Default)]
pub(crate) struct Slots {
    table: RefCell<Table>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self::default()
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
        self.table.borrow_mut().reserve(owner, mode, armed, exhausted)
    }

    /// The registration of a reserved slot has been made. What still stood under that number is a descriptor
    /// that was closed: its number is forgotten, and its watchers are given back.
    pub(crate) fn registered(&self, key: SlotKey, raw: RawSource) -> Vec<Watcher> {
        let table = &mut *self.table.borrow_mut();
        if let Some(slot) = table.get_mut(key) {
            slot.raw = Some(raw);
        }
        let Some(former) = table.by_raw.insert(raw, key.index).filter(|former| *former != key.index) else {
            return Vec::new();
        };
        let slot = &mut table.slots[former as usize];
        slot.raw = None;
        match slot.owner {
            // It frees its slot itself: word of that is on the way.
            Owner::Source => Vec::new(),
            Owner::Callbacks => {
                let former = SlotKey { index: former, generation: slot.generation };
                table.free(former)
            }
        }
    }

    /// Ends a registration; gives those back who waited.
    pub(crate) fn free(&self, key: SlotKey) -> Vec<Watcher> {
        self.table.borrow_mut().free(key)
    }

    /// Which slot a number is registered with, and whose it is.
    pub(crate) fn find(&self, raw: RawSource) -> Option<(SlotKey, Owner)> {
        let table = self.table.borrow();
        let index = *table.by_raw.get(&raw)?;
        let slot = &table.slots[index as usize];
        Some((SlotKey { index, generation: slot.generation }, slot.owner))
    }

    /// Whether it is worth trying.
    #[inline]
    pub(crate) fn is_ready(&self, key: SlotKey, direction: Direction) -> bool {
        self.table.borrow().get(key).is_none_or(|slot| slot.ready.contains(direction))
    }

    /// The system has said that there is nothing more.
    #[inline]
    pub(crate) fn exhausted(&self, key: SlotKey, direction: Direction) {
        if let Some(slot) = self.table.borrow_mut().get_mut(key) {
            slot.ready = slot.ready.without(Interest::of(direction));
        }
    }

    /// A read came up short: there is nothing more, unless the end of the stream is.
    #[inline]
    pub(crate) fn drained(&self, key: SlotKey, direction: Direction) {
        if let Some(slot) = self.table.borrow_mut().get_mut(key)
            && !(slot.ended && slot.mode == PollMode::Edge)
        {
            slot.ready = slot.ready.without(Interest::of(direction));
        }
    }

    /// Stands in line, or goes on standing there with another waker. Gives back the watcher that is not
    /// needed any more, and what the kernel has to be asked to watch; the watcher itself if the slot is gone.
    pub(crate) fn wait(
        &self,
        key: SlotKey,
        direction: Direction,
        who: Who<'_>,
        watcher: Watcher,
    ) -> Result<(Option<Watcher>, Option<Rearm>), Watcher> {
        let table = &mut *self.table.borrow_mut();
        if table.get(key).is_none() {
            return Err(watcher);
        }
        let standing = match &who {
            Who::Future(waiter) => waiter
                .filter(|w| table.waiters.get(w.index as usize).is_some_and(|x| x.serial == w.serial))
                .map(|w| w.index),
            Who::Task => table.find(key.index, direction, &watcher),
        };
        if let Some(standing) = standing {
            let waiter = &mut table.waiters[standing as usize];
            return Ok((Some(mem::replace(&mut waiter.watcher, watcher)), None));
        }
        let joined = table.join(key.index, direction, watcher);
        if let Who::Future(waiter) = who {
            *waiter = Some(joined);
        }
        Ok((None, table.arm(key, direction)))
    }

    /// Leaves the line; gives the watcher back, unless it was called already.
    pub(crate) fn leave(&self, waiter: WaiterKey) -> Option<Watcher> {
        let table = &mut *self.table.borrow_mut();
        table.waiters.get(waiter.index as usize).filter(|w| w.serial == waiter.serial)?;
        Some(table.remove(waiter.index))
    }

    /// Notes an event, and collects whom to tell, in order.
    pub(crate) fn note(&self, event: Event, told: &mut Vec<Watcher>) -> Option<Rearm> {
        self.table.borrow_mut().note(event, told)
    }

    /// Sets who is told of each event in one direction, or that nobody is; gives the former one back. The
    /// caller asks the kernel to watch for what is [`wanted`](Self::wanted).
    pub(crate) fn set_repeating(
        &self,
        key: SlotKey,
        direction: Direction,
        call: Option<Rc<dyn Repeated>>,
    ) -> Option<Watcher> {
        let table = &mut *self.table.borrow_mut();
        table.get(key)?;
        let former = table.head(key.index, direction).map(|head| table.remove(head));
        if let Some(call) = call {
            table.join(key.index, direction, Watcher::Call(call));
        }
        let slot = &mut table.slots[key.index as usize];
        slot.armed = slot.wanted();
        former
    }

    /// The kernel could not be asked to watch: the next who waits tries again.
    pub(crate) fn disarmed(&self, key: SlotKey) {
        if let Some(slot) = self.table.borrow_mut().get_mut(key) {
            slot.armed = Interest::NONE;
        }
    }

    /// The directions in which somebody waits.
    pub(crate) fn wanted(&self, key: SlotKey) -> Interest {
        self.table.borrow().get(key).map_or(Interest::NONE, Slot::wanted)
    }

    /// How many wait for something from outside.
    pub(crate) fn waiting(&self) -> usize {
        self.table.borrow().waiters.len()
    }

    /// Registered descriptors.
    pub(crate) fn len(&self) -> usize {
        let table = self.table.borrow();
        table.slots.len() - table.free.len()
    }

    /// Ends everything, for the end of the loop: the watchers to drop, and the numbers that `add_reader` and
    /// `add_writer` have registered.
    pub(crate) fn close(&self) -> (Vec<Watcher>, Vec<RawSource>) {
        let table = &mut *self.table.borrow_mut();
        let (mut watchers, mut raws) = (Vec::new(), Vec::new());
        for index in 0..table.slots.len() {
            let slot = &table.slots[index];
            if slot.owner == Owner::Callbacks {
                raws.extend(slot.raw);
            }
            let key = SlotKey { index: index as u32, generation: slot.generation };
            watchers.append(&mut table.free(key));
        }
        (watchers, raws)
    }
}

impl Slot {
    fn rearm(&self, key: SlotKey) -> Option<Rearm> {
        self.raw.map(|raw| Rearm { raw, key, interest: self.armed, mode: self.mode })
    }

    /// The directions in which somebody waits.
    fn wanted(&self) -> Interest {
        Interest::new(!self.sides[0].is_empty(), !self.sides[1].is_empty())
    }
}

impl Table {
    fn reserve(&mut self, owner: Owner, mode: PollMode, armed: Interest, exhausted: Interest) -> SlotKey {
        let fresh = |generation| Slot {
            generation,
            mode,
            owner,
            in_use: true,
            raw: None,
            ready: Interest::BOTH.without(exhausted),
            armed,
            ended: false,
            sides: [Side::EMPTY; 2],
        };
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            *slot = fresh(slot.generation);
            return SlotKey { index, generation: slot.generation };
        }
        self.slots.push(fresh(0));
        // No system has 2^32 descriptors, and none of 32 bits 2^20.
        SlotKey { index: self.slots.len() as u32 - 1, generation: 0 }
    }

    #[inline]
    fn get(&self, key: SlotKey) -> Option<&Slot> {
        self.slots.get(key.index as usize).filter(|slot| slot.generation == key.generation && slot.in_use)
    }

    #[inline]
    fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation && slot.in_use)
    }

    fn free(&mut self, key: SlotKey) -> Vec<Watcher> {
        let Some(slot) = self.get_mut(key) else { return Vec::new() };
        slot.in_use = false;
        slot.generation = slot.generation.wrapping_add(1) & GENERATIONS;
        let raw = slot.raw.take();
        if let Some(raw) = raw
            && let Entry::Occupied(entry) = self.by_raw.entry(raw)
            && *entry.get() == key.index
        {
            entry.remove();
        }
        let mut watchers = Vec::new();
        for direction in [Direction::Read, Direction::Write] {
            while let Some(head) = self.head(key.index, direction) {
                watchers.push(self.remove(head));
            }
        }
        self.free.push(key.index);
        watchers
    }

    fn head(&self, slot: u32, direction: Direction) -> Option<u32> {
        let head = self.slots[slot as usize].sides[direction as usize].head;
        (head != NIL).then_some(head)
    }

    /// Whom the same waker wakes.
    fn find(&self, slot: u32, direction: Direction, watcher: &Watcher) -> Option<u32> {
        let mut next = self.head(slot, direction);
        while let Some(index) = next {
            let waiter = &self.waiters[index as usize];
            match (&waiter.watcher, watcher) {
                (Watcher::Wake(own), Watcher::Wake(other)) if own.will_wake(other) => return Some(index),
                _ => next = (waiter.next != NIL).then_some(waiter.next),
            }
        }
        None
    }

    /// Appends a waiter to a slot's line.
    fn join(&mut self, slot: u32, direction: Direction, watcher: Watcher) -> WaiterKey {
        // A key would have to be kept while 2^32 others wait and go to be mistaken for another's.
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let side = &mut self.slots[slot as usize].sides[direction as usize];
        let waiter = Waiter { watcher, serial, slot, direction, next: NIL, prev: side.tail };
        let index = u32::try_from(self.waiters.insert(waiter)).expect("no memory holds so many");
        match side.tail {
            NIL => side.head = index,
            tail => self.waiters[tail as usize].next = index,
        }
        side.tail = index;
        WaiterKey { index, serial }
    }

    fn remove(&mut self, index: u32) -> Watcher {
        let waiter = self.waiters.remove(index as usize);
        let side = &mut self.slots[waiter.slot as usize].sides[waiter.direction as usize];
        match waiter.prev {
            NIL => side.head = waiter.next,
            prev => self.waiters[prev as usize].next = waiter.next,
        }
        match waiter.next {
            NIL => side.tail = waiter.prev,
            next => self.waiters[next as usize].prev = waiter.prev,
        }
        waiter.watcher
    }

    /// Sees to it that the kernel watches for what somebody has begun to wait for.
    fn arm(&mut self, key: SlotKey, direction: Direction) -> Option<Rearm> {
        let slot = &mut self.slots[key.index as usize];
        if slot.armed.contains(direction) {
            return None;
        }
        slot.armed = slot.armed.with(Interest::of(direction));
        slot.rearm(key)
    }

    fn note(&mut self, event: Event, told: &mut Vec<Watcher>) -> Option<Rearm> {
        let key = SlotKey::from_usize(event.key);
        let slot = self.get_mut(key)?;
        slot.ready = slot.ready.with(event.ready);
        slot.ended |= event.ended;
        let mode = slot.mode;
        let waited_for = event.ready.and(slot.wanted());
        for direction in [Direction::Read, Direction::Write] {
            if waited_for.contains(direction) {
                self.tell(key.index, direction, told);
            }
        }
        let slot = &mut self.slots[key.index as usize];
        let armed = match mode {
            PollMode::Edge => return None,
            PollMode::Level => slot.armed.without(event.ready.without(waited_for)),
            PollMode::Oneshot => slot.wanted(),
        };
        let changed = if mode == PollMode::Oneshot { !armed.is_empty() } else { armed != slot.armed };
        slot.armed = armed;
        if changed { slot.rearm(key) } else { None }
    }

    /// Takes those out who wait in one direction; who is called again and again stays.
    fn tell(&mut self, slot: u32, direction: Direction, told: &mut Vec<Watcher>) {
        let mut index = self.slots[slot as usize].sides[direction as usize].head;
        while index != NIL {
            let waiter = &self.waiters[index as usize];
            let next = waiter.next;
            match &waiter.watcher {
                Watcher::Call(call) => told.push(Watcher::Call(call.clone())),
                Watcher::Wake(_) => {
                    let watcher = self.remove(index);
                    told.push(watcher);
                }
            }
            index = next;
        }
    }
}

#[cfg(test)]
mod tests;
