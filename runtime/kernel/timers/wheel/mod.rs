//! A hierarchical timer wheel over nanoseconds: a collection of deadlines, each with a payload.
//!
//! Entries live in one slab. Time is cut into ticks of 2^18 ns (0.26 ms), and an entry whose tick
//! still lies ahead stands in one of 8 x 64 buckets, vectors of records in no order. A tick has 46
//! bits; read it as eight digits of six bits:
//!
//! ```text
//!   digit          7        6        5        4        3        2        1        0
//!   one step is   36 y     209 d    3.3 d    1.2 h    69 s     1.1 s    17 ms    0.26 ms
//!   cursor         0        0        0        0        2        9       41        7
//!   deadline       0        0        0        0        2        9       44       30
//!                                                                  ^ level 1, slot 44:
//!                                                                  the highest that differs
//!
//!   level 1   . . . . [41] . . [44] . . .        cursor -> only slots to its right can be occupied
//!                               |
//!                               +-> record record record             min deadline kept per slot
//!
//!   current tick and before:    near  (sorted)    12 9 8 8 3  -> popped from the end
//!                               late  (heap)      what came in for a tick already reached
//! ```
//!
//! The cursor is the tick being served. An entry's level is the highest digit in which its tick
//! differs from the cursor, its slot is that digit. So all of level 0 is due before all of level 1,
//! and so on; within a level the lowest occupied slot comes first, and one bitmap per level finds
//! it. When that slot's `min` is due, the cursor jumps straight to the tick of `min`: entries of
//! that tick move to `near`, sorted by (deadline, serial), the others go to a lower level. An entry moves at most once per level and empty stretches of time cost nothing, however
//! long.
//!
//! Ticks are only buckets: deadlines are kept to the nanosecond and entries leave in the exact
//! order of (deadline, insertion).
//!
//! A record of a bucket is a deadline and an index, twelve bytes: moving a bucket down a level walks
//! through one vector, and only what becomes due within the tick is looked up, for its serial. (Lists
//! linked through the slab were tried: there each miss of the cache waits for the one before, and a
//! million sleeps took half as long again.) An entry knows its place in the bucket, where cancelling
//! puts the bucket's last record. Which bucket it is follows from the deadline, which whoever cancels
//! brings along, and the cursor.
//!
//! In `near` and `late` the living are mixed with tombstones: cancelling frees the slab entry at
//! once, and the record left behind is known by its serial. They are swept out when they outnumber
//! the living by more than 64.
//!
//! What it is not: it reads no clock and wakes nobody, time comes in as an argument. It drops no
//! payload except when it is dropped itself: every payload is handed back, so that foreign code
//! never runs while the wheel is borrowed.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, num::NonZeroU64};

use slab::Slab;

/// A tick is 2^18 ns. Only a bucket size, so it decides nothing but speed, and that hardly: 2^16,
/// 2^17, 2^18 and 2^20 were within noise of each other, inserting and cancelling as well as firing
/// a million timers within a second. 2^18 leaves 46 bits of tick, which eight levels cover.
const TICK_BITS: u32 = 18;

/// 64 slots a level: one u64 bitmap tells which are occupied.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 8;

const _: () = assert!(u64::BITS - TICK_BITS <= SLOT_BITS * LEVELS as u32, "every tick must have a level");

/// Tombstones tolerated beyond the number of the living, so that small wheels do not sweep all the
/// time.
const SPARE_TOMBSTONES: usize = 64;

/// A bucket that was emptied keeps room for this many records, 48 KB; more is given back.
const KEEP_RECORDS: usize = 2048;

/// A set of deadlines in nanoseconds with payloads, popped in the order of (deadline, insertion).
pub(crate) struct Wheel<T> {
    entries: Slab<Entry<T>>,
    /// Per level, which slots hold records.
    occupied: [u64; LEVELS],
    slots: Box<[Slot; LEVELS * SLOTS]>,
    /// The tick being served: what stands in a slot is later, what is in `near` and `late` is not.
    cursor: u64,
    /// Descending, so that the earliest is popped from the end.
    near: Vec<Due>,
    /// Inserted for the cursor's tick or before. A heap and not a sorted insertion into `near`: a
    /// hundred thousand timers for one instant would otherwise shift each other a hundred thousand
    /// times.
    late: BinaryHeap<Reverse<Due>>,
    /// How many records of `near` and `late` belong to entries that are gone.
    tombstones: usize,
    next_serial: NonZeroU64,
}

/// Names one entry of a [`Wheel`]. Harmless when the entry is gone, even if its place was taken by
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    serial: NonZeroU64,
}

impl TimerKey {
    /// For whoever has little room: place and number.
    pub(crate) fn parts(self) -> (u32, NonZeroU64) {
        (self.index, self.serial)
    }

    /// What [`parts`](Self::parts) took apart.
    pub(crate) fn from_parts(index: u32, serial: NonZeroU64) -> Self {
        Self { index, serial }
    }
}

struct Entry<T> {
    /// Number of this insertion: breaks ties and tells a stale key. Never zero, which lets the slab
    /// mark its vacant places without a word of its own.
    serial: NonZeroU64,
    /// The place in its bucket; means nothing in `near` and `late`.
    place: u32,
    payload: T,
}

struct Slot {
    /// No entry of the slot is earlier. Cancelling does not raise it.
    min: u64,
    records: Vec<Record>,
}

/// The record of an entry in a bucket. Packed, since there may be millions, and read in order.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Record {
    deadline: u64,
    index: u32,
}

const _: () = assert!(size_of::<Record>() == 12);

/// The record of an entry in `near` or `late`. Derived order: the serial decides between
/// equal deadlines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: u64,
    serial: NonZeroU64,
    index: u32,
}

impl<T> Wheel<T> {
    /// A wheel whose time begins at `now_ns`: what is earlier is overdue.
    pub(crate) fn starting_at(now_ns: u64) -> Self {
        Self {
            entries: Slab::new(),
            occupied: [0; LEVELS],
            slots: Box::new([const { Slot { min: 0, records: Vec::new() } }; LEVELS * SLOTS]),
            cursor: tick_of(now_ns),
            near: Vec::new(),
            late: BinaryHeap::new(),
            tombstones: 0,
            next_serial: NonZeroU64::MIN,
        }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry. Any deadline is welcome: one in the past is due at the next pop.
    pub(crate) fn insert(&mut self, deadline_ns: u64, payload: T) -> TimerKey {
        let serial = self.next_serial;
        self.next_serial = serial.saturating_add(1);
        let index = self.entries.vacant_key() as u32;
        let place = if tick_of(deadline_ns) <= self.cursor {
            self.late.push(Reverse(Due { deadline: deadline_ns, serial, index }));
            0
        } else {
            self.append(Record { deadline: deadline_ns, index })
        };
        self.entries.insert(Entry { serial, place, payload });
        TimerKey { index, serial }
    }

    /// Removes an entry and returns its payload, or `None` if it is gone already. The deadline is the one it was
    /// inserted with.
    pub(crate) fn cancel(&mut self, key: TimerKey, deadline_ns: u64) -> Option<T> {
        self.get_mut(key)?;
        let entry = self.entries.try_remove(key.index as usize)?;
        if tick_of(deadline_ns) <= self.cursor {
            self.tombstones += 1;
            self.sweep_if_crowded();
        } else {
            self.take_record(Record { deadline: deadline_ns, index: key.index }, entry.place);
        }
        Some(entry.payload)
    }

    /// Returns the payload of an entry, or `None` if it is gone.
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.serial == key.serial).then_some(&mut entry.payload)
    }

    /// Removes and returns the earliest entry if its deadline is not after `now_ns`; call it until
    /// it returns `None`.
    ///
    /// What is inserted between two calls takes its place in the order of what remains. A `now_ns`
    /// smaller than that of an earlier call is no error: fewer entries are due.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<T> {
        loop {
            if let Some((due, list)) = self.first_record() {
                if due.deadline > now_ns {
                    return None;
                }
                self.pop_record(list);
                return Some(self.entries.try_remove(due.index as usize)?.payload);
            }
            self.enter_next_bucket(now_ns)?;
        }
    }

    /// Returns an instant before which nothing is due, or `None` if and only if the wheel is empty.
    ///
    /// Mostly it is the earliest deadline. After a cancel it may be too early, never too late; a
    /// [`pop_due`](Self::pop_due) at that instant then returns `None` and makes the next answer
    /// better, so one cancel costs at most one idle look.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        if let Some((due, _)) = self.first_record() {
            return Some(due.deadline);
        }
        self.next_bucket().map(|bucket| self.slots[bucket].min)
    }

    /// Removes and returns some entry, until there is none: for ending a loop.
    pub(crate) fn take_any(&mut self) -> Option<T> {
        // The earliest is as good as any, and the order of drops is then the same in every run.
        self.pop_due(u64::MAX)
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("len", &self.len())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// Which of the two sorted collections a record stands in.
#[derive(Clone, Copy)]
enum List {
    Near,
    Late,
}

/// The cursor's tick: `near`, `late` and their tombstones.
impl<T> Wheel<T> {
    /// Finds the earliest living record and throws away the tombstones before it.
    fn first_record(&mut self) -> Option<(Due, List)> {
        loop {
            let first = match (self.near.last(), self.late.peek()) {
                (Some(near), Some(Reverse(late))) if late < near => (*late, List::Late),
                (Some(near), _) => (*near, List::Near),
                (None, Some(Reverse(late))) => (*late, List::Late),
                (None, None) => return None,
            };
            if self.tombstones == 0 || is_living(&self.entries, &first.0) {
                return Some(first);
            }
            self.pop_record(first.1);
            self.tombstones -= 1;
        }
    }

    fn pop_record(&mut self, list: List) {
        match list {
            List::Near => {
                self.near.pop();
            }
            List::Late => {
                self.late.pop();
            }
        }
    }

    /// Bounds the tombstones. Needed because time may stand still: under a virtual clock a million
    /// sleeps can be made and dropped within one instant, and no pop would ever meet what they
    /// left. The cancels before pay for each sweep.
    fn sweep_if_crowded(&mut self) {
        let living = self.near.len() + self.late.len() - self.tombstones;
        if self.tombstones > living + SPARE_TOMBSTONES {
            let entries = &self.entries;
            self.near.retain(|due| is_living(entries, due));
            self.late.retain(|Reverse(due)| is_living(entries, due));
            self.tombstones = 0;
        }
    }
}

fn is_living<T>(entries: &Slab<Entry<T>>, due: &Due) -> bool {
    entries.get(due.index as usize).is_some_and(|entry| entry.serial == due.serial)
}

/// The ticks ahead: buckets, numbered level * 64 + slot.
impl<T> Wheel<T> {
    /// Returns the bucket of a deadline whose tick is after the cursor.
    fn bucket_of(&self, deadline: u64) -> usize {
        let tick = tick_of(deadline);
        let highest_bit = u64::BITS - 1 - ((tick ^ self.cursor) | 1).leading_zeros();
        let level = highest_bit / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        // The remainders change no value; they show that no index is out of bounds.
        (level as usize % LEVELS) * SLOTS + slot
    }

    /// Returns the earliest occupied bucket: slots left of the cursor's are empty, so the lowest is
    /// the next.
    fn next_bucket(&self) -> Option<usize> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        Some(level * SLOTS + self.occupied[level].trailing_zeros() as usize)
    }

    /// Puts a record into its bucket and returns its place there.
    fn append(&mut self, record: Record) -> u32 {
        let bucket = self.bucket_of(record.deadline);
        let slot = &mut self.slots[bucket];
        if slot.records.is_empty() {
            self.occupied[bucket / SLOTS] |= 1 << (bucket % SLOTS);
            slot.min = record.deadline;
        }
        slot.min = slot.min.min(record.deadline);
        let place = slot.records.len() as u32;
        slot.records.push(record);
        place
    }

    /// Takes the record of an entry that was just removed from the slab out of its bucket.
    fn take_record(&mut self, record: Record, place: u32) {
        let bucket = self.bucket_of(record.deadline);
        let records = &mut self.slots[bucket].records;
        let taken = records.swap_remove(place as usize);
        assert!(taken.index == { record.index }, "a timer is cancelled with another deadline than its own");
        if let Some(moved) = records.get(place as usize)
            && let Some(entry) = self.entries.get_mut(moved.index as usize)
        {
            entry.place = place;
        }
        if records.is_empty() {
            self.occupied[bucket / SLOTS] &= !(1 << (bucket % SLOTS));
        }
    }

    /// Moves the cursor to the next bucket, or returns `None` if there is none with a chance to be
    /// due.
    ///
    /// `near` must be empty. It may still be after the call, if the earliest entry was cancelled or
    /// the bucket's others are later; the next call then goes on from a lower level.
    fn enter_next_bucket(&mut self, now_ns: u64) -> Option<()> {
        let bucket = self.next_bucket()?;
        let min = self.slots[bucket].min;
        if min > now_ns {
            return None;
        }
        self.occupied[bucket / SLOTS] &= !(1 << (bucket % SLOTS));
        // All entries agree with `min` in this level's digit and those above: from here they differ
        // in a lower one, or not at all. And nothing is earlier, so nothing is overtaken.
        self.cursor = tick_of(min);
        let mut records = std::mem::take(&mut self.slots[bucket].records);
        for record in records.drain(..) {
            let Record { deadline, index } = record;
            if tick_of(deadline) > self.cursor {
                let place = self.append(record);
                if let Some(entry) = self.entries.get_mut(index as usize) {
                    entry.place = place;
                }
            } else if let Some(entry) = self.entries.get(index as usize) {
                self.near.push(Due { deadline, serial: entry.serial, index });
            }
        }
        if records.capacity() <= KEEP_RECORDS {
            self.slots[bucket].records = records;
        }
        self.near.sort_unstable_by(|a, b| b.cmp(a));
        Some(())
    }
}

fn tick_of(deadline: u64) -> u64 {
    deadline >> TICK_BITS
}

#[cfg(test)]
mod tests;
