//! The wheel against a sorted map under random operations, then one test for each promise.

use std::{collections::BTreeMap, rc::Rc};

use super::*;

/// One tick; deadlines within the same one share a bucket of level 0.
const TICK: u64 = 1 << TICK_BITS;

#[test]
fn random_operations_agree_with_a_sorted_map() {
    for seed in 1..=200 {
        let mut run = Run::new(seed);
        // Seeds differ in how far ahead they plan: from within one tick to the end of the clock.
        let reach_bits = 12 + (seed * 7 % 53) as u32;
        for step in 0..700 {
            if step % 128 == 0 {
                run.crowd();
            }
            match run.random.below(16) {
                0..=5 => run.insert(reach_bits),
                6..=8 => run.cancel(),
                9 => run.change_payload(),
                10 => {
                    run.check_next_deadline();
                }
                11 | 12 => run.pop_some(),
                13 | 14 => run.advance(reach_bits),
                _ => run.step_back(),
            }
            if step % 8 == 0 {
                assert_sound(&run.wheel);
            }
        }
        run.now = u64::MAX;
        run.pop_all();
        assert!(run.wheel.is_empty(), "seed {seed}");
    }
}

#[test]
fn equal_deadlines_leave_in_order_of_insertion() {
    let mut wheel = Wheel::starting_at(0);
    let deadline = 1000 * TICK + 5;
    wheel.insert(deadline, 0); // will hang in level 1
    wheel.insert(990 * TICK, 100);
    assert_eq!(wheel.pop_due(990 * TICK), Some(100));
    wheel.insert(deadline, 1); // in level 0, though `deadline` was in level 1 before
    wheel.insert(1000 * TICK, 101);
    assert_eq!(wheel.pop_due(1000 * TICK), Some(101)); // `deadline` is in `near` now
    wheel.insert(deadline, 2); // in `late`
    wheel.insert(deadline, 3);
    assert_eq!(drain(&mut wheel, deadline), [0, 1, 2, 3]);
}

#[test]
fn many_timers_for_one_instant_leave_in_order_of_insertion() {
    let mut wheel = Wheel::starting_at(0);
    wheel.insert(TICK, 0);
    assert_eq!(wheel.pop_due(TICK), Some(0));
    for number in 0..10_000 {
        wheel.insert(TICK, number);
    }
    assert!(drain(&mut wheel, TICK).into_iter().eq(0..10_000));
}

#[test]
fn an_entry_inserted_between_two_pops_takes_its_place_in_what_remains() {
    let mut wheel = Wheel::starting_at(0);
    for deadline in [TICK, TICK + 10, 3 * TICK] {
        wheel.insert(deadline, deadline);
    }
    let now = 4 * TICK;
    assert_eq!(wheel.pop_due(now), Some(TICK));
    for deadline in [TICK + 5, 2 * TICK, 7] {
        wheel.insert(deadline, deadline);
    }
    assert_eq!(drain(&mut wheel, now), [7, TICK + 5, TICK + 10, 2 * TICK, 3 * TICK]);
}

#[test]
fn nothing_is_due_one_nanosecond_early() {
    let mut wheel = Wheel::starting_at(0);
    for deadline in boundaries().into_iter().filter(|deadline| *deadline > 0) {
        wheel.insert(deadline, ());
        assert_eq!(wheel.pop_due(deadline - 1), None, "{deadline}");
        assert_eq!(wheel.pop_due(deadline), Some(()), "{deadline}");
    }
}

#[test]
fn one_jump_to_the_end_of_the_clock_fires_everything_in_order() {
    let mut wheel = Wheel::starting_at(0);
    let mut expected = boundaries();
    for deadline in expected.iter().rev() {
        wheel.insert(*deadline, *deadline);
    }
    expected.sort_unstable();
    assert_eq!(drain(&mut wheel, u64::MAX), expected);
    // And the wheel still works there.
    wheel.insert(u64::MAX, 1);
    wheel.insert(0, 2);
    assert_eq!(drain(&mut wheel, u64::MAX), [2, 1]);
}

#[test]
fn a_step_back_in_time_only_makes_fewer_entries_due() {
    let mut wheel = Wheel::starting_at(0);
    for deadline in [10, 20, 5 * TICK, 9 * TICK] {
        wheel.insert(deadline, deadline);
    }
    assert_eq!(wheel.pop_due(6 * TICK), Some(10));
    assert_eq!(wheel.pop_due(15), None);
    wheel.insert(12, 12);
    assert_eq!(drain(&mut wheel, 15), [12]);
    assert_eq!(drain(&mut wheel, 6 * TICK), [20, 5 * TICK]);
    assert_eq!(drain(&mut wheel, 0), []);
    assert_eq!(wheel.next_deadline(), Some(9 * TICK));
}

#[test]
fn the_next_deadline_is_exact_while_nothing_is_cancelled() {
    let mut wheel = Wheel::starting_at(0);
    let mut model = BTreeMap::new();
    let mut random = Xorshift::new(7);
    for number in 0..2000 {
        let deadline = random.up_to_bits(40);
        wheel.insert(deadline, ());
        model.insert((deadline, number), ());
        assert_eq!(wheel.next_deadline(), model.keys().next().map(|key| key.0));
    }
    while let Some(((deadline, _), ())) = model.pop_first() {
        assert_eq!(wheel.next_deadline(), Some(deadline));
        assert_eq!(wheel.pop_due(deadline), Some(()));
    }
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn cancelled_entries_cost_at_most_one_idle_look_per_bucket() {
    let mut wheel = Wheel::starting_at(0);
    let base = 1 << 40;
    let keys: Vec<_> = (0..100).map(|number| wheel.insert(base + number, ())).collect();
    wheel.insert(base + 70 * TICK, ()); // one more bucket of the same level, left alone
    for (key, deadline) in keys[..99].iter().zip(base..) {
        wheel.cancel(*key, deadline);
    }
    assert_eq!(wheel.next_deadline(), Some(base)); // stale: early, not late
    assert_eq!(wheel.pop_due(base), None);
    assert_eq!(wheel.next_deadline(), Some(base + 99)); // one look later it is exact
    wheel.cancel(keys[99], base + 99);
    assert_eq!(wheel.next_deadline(), Some(base + 70 * TICK));
}

#[test]
fn a_cancelled_entry_in_the_current_tick_does_not_show_in_the_next_deadline() {
    let mut wheel = Wheel::starting_at(0);
    let keys: Vec<_> = (0..4).map(|number| wheel.insert(TICK + number, number)).collect();
    assert_eq!(wheel.pop_due(TICK), Some(0));
    let late = wheel.insert(TICK + 1, 4);
    assert_eq!(wheel.cancel(keys[1], TICK + 1), Some(1));
    assert_eq!(wheel.next_deadline(), Some(TICK + 1));
    assert_eq!(wheel.cancel(late, TICK + 1), Some(4));
    assert_eq!(wheel.next_deadline(), Some(TICK + 2));
    assert_eq!(drain(&mut wheel, 2 * TICK), [2, 3]);
}

#[test]
fn a_stale_key_is_harmless_even_if_its_place_was_taken() {
    for deadline in [0, 5, TICK, 1 << 50, u64::MAX] {
        let mut wheel = Wheel::starting_at(0);
        let old = wheel.insert(deadline, 1);
        assert_eq!(wheel.cancel(old, deadline), Some(1));
        assert_eq!(wheel.cancel(old, deadline), None);
        let new = wheel.insert(deadline, 2);
        assert_eq!(old.index, new.index);
        assert_ne!(old, new);
        assert_eq!(wheel.get_mut(old), None);
        assert_eq!(wheel.cancel(old, deadline), None);
        assert_eq!(wheel.pop_due(u64::MAX), Some(2));
        assert_eq!(wheel.cancel(new, deadline), None);
        assert_eq!(wheel.get_mut(new), None);
    }
}

#[test]
fn tombstones_stay_bounded_while_time_stands_still() {
    let mut wheel = Wheel::starting_at(0);
    // A full `near`, of which all but one entry are cancelled.
    let keys: Vec<_> = (0..1000).map(|number| wheel.insert(TICK + number, number)).collect();
    assert_eq!(wheel.pop_due(TICK), Some(0));
    for (key, number) in keys[2..].iter().zip(2..) {
        assert!(wheel.cancel(*key, TICK + number).is_some());
        assert_tombstones_bounded(&wheel);
    }
    // Sleeps made and dropped within one instant go to `late`.
    for number in 0..10_000 {
        let key = wheel.insert(TICK, number);
        assert_eq!(wheel.cancel(key, TICK), Some(number));
        assert_tombstones_bounded(&wheel);
    }
    assert!(wheel.entries.capacity() <= 1024);
    assert!(wheel.late.capacity() <= 256);
    assert_eq!(drain(&mut wheel, 2 * TICK), [1]);
    assert_eq!(wheel.tombstones, 0);
}

#[test]
fn take_any_hands_back_every_payload_once() {
    let mut wheel = Wheel::starting_at(0);
    wheel.insert(TICK, 0);
    wheel.insert(TICK + 1, 1);
    assert_eq!(wheel.pop_due(TICK), Some(0));
    wheel.insert(3, 2);
    wheel.insert(u64::MAX, 3);
    let cancelled = wheel.insert(2, 4);
    wheel.cancel(cancelled, 2);
    let mut taken: Vec<_> = std::iter::from_fn(|| wheel.take_any()).collect();
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3]);
    assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
}

#[test]
fn payloads_are_dropped_by_their_takers_or_with_the_wheel() {
    let payload = Rc::new(());
    let mut wheel = Wheel::starting_at(0);
    let keys: Vec<_> =
        (0..300).map(|number| wheel.insert(number * TICK / 100, Rc::clone(&payload))).collect();
    let first = keys[..200].iter().zip(0..);
    let mut taken: Vec<_> =
        first.filter_map(|(key, number)| wheel.cancel(*key, number * TICK / 100)).collect();
    taken.extend(wheel.pop_due(u64::MAX));
    assert_eq!((taken.len(), wheel.len(), Rc::strong_count(&payload)), (201, 99, 301));
    drop(taken);
    assert_eq!(Rc::strong_count(&payload), 100);
    drop(wheel);
    assert_eq!(Rc::strong_count(&payload), 1);
}

#[test]
fn an_entry_is_two_words_and_its_payload_and_a_vacant_mark_is_free() {
    assert_eq!(size_of::<Entry<u64>>(), 16 + 8);
    assert_eq!(size_of::<Option<Entry<u64>>>(), size_of::<Entry<u64>>());
}

/// A wheel, the map it must agree with, and every key ever handed out.
struct Run {
    wheel: Wheel<u64>,
    model: BTreeMap<(u64, u64), u64>,
    keys: Vec<(TimerKey, u64)>,
    now: u64,
    random: Xorshift,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            wheel: Wheel::starting_at(0),
            model: BTreeMap::new(),
            keys: Vec::new(),
            now: 0,
            random: Xorshift::new(seed),
        }
    }

    fn insert(&mut self, reach_bits: u32) {
        let ahead = self.random.up_to_bits(reach_bits);
        let deadline = match self.random.below(12) {
            0..=5 => self.now.saturating_add(ahead),
            6 => self.now.saturating_add(self.random.up_to_bits(TICK_BITS)),
            7 => self.now.saturating_sub(ahead),
            8 => self.now.saturating_add(ahead) & !(TICK - 1),
            9 => u64::MAX - self.random.below(3),
            _ => self.random_key().map_or(self.now, |(_, deadline)| deadline),
        };
        let payload = self.random.next();
        let key = self.wheel.insert(deadline, payload);
        self.model.insert((deadline, key.serial.get()), payload);
        self.keys.push((key, deadline));
        assert_eq!(self.wheel.len(), self.model.len());
    }

    fn cancel(&mut self) {
        let Some((key, deadline)) = self.random_key() else {
            return;
        };
        assert_eq!(self.wheel.cancel(key, deadline), self.model.remove(&(deadline, key.serial.get())));
        assert_eq!(self.wheel.len(), self.model.len());
    }

    /// Leaves enough tombstones around `now` for a sweep.
    fn crowd(&mut self) {
        for _ in 0..2 * SPARE_TOMBSTONES {
            let payload = self.random.next();
            let deadline = self.now.saturating_sub(self.random.below(3));
            let key = self.wheel.insert(deadline, payload);
            if self.random.below(16) == 0 {
                self.model.insert((deadline, key.serial.get()), payload);
                self.keys.push((key, deadline));
            } else {
                assert_eq!(self.wheel.cancel(key, deadline), Some(payload));
            }
        }
    }

    fn change_payload(&mut self) {
        let Some((key, deadline)) = self.random_key() else {
            return;
        };
        let payload = self.wheel.get_mut(key);
        let modelled = self.model.get_mut(&(deadline, key.serial.get()));
        assert_eq!(payload, modelled);
        if let (Some(payload), Some(modelled)) = (payload, modelled) {
            *payload = payload.wrapping_add(1);
            *modelled = *payload;
        }
    }

    fn check_next_deadline(&mut self) -> Option<u64> {
        let next = self.wheel.next_deadline();
        let first = self.model.keys().next().map(|key| key.0);
        assert_eq!(next.is_some(), first.is_some());
        assert!(next <= first, "late: {next:?}, but {first:?} is due");
        next
    }

    fn advance(&mut self, reach_bits: u32) {
        self.now = match self.random.below(8) {
            0..=3 => self.check_next_deadline().map_or(self.now, |next| next.max(self.now)),
            4 | 5 => self.now.saturating_add(self.random.up_to_bits(TICK_BITS + 1)),
            // Not the whole reach, or most runs would soon be at the end of the clock.
            _ => self.now.saturating_add(self.random.up_to_bits(reach_bits) / 8),
        };
        self.pop_all();
    }

    fn step_back(&mut self) {
        let now = self.now;
        self.now -= self.now.min(self.random.up_to_bits(30));
        self.pop_all();
        self.now = now;
    }

    fn pop_some(&mut self) {
        for _ in 0..self.random.below(3) {
            self.pop();
        }
    }

    fn pop_all(&mut self) {
        while self.pop() {}
        let next = self.check_next_deadline();
        assert!(next.is_none_or(|next| next > self.now), "an idle look must get ahead of now");
    }

    fn pop(&mut self) -> bool {
        let expected = match self.model.first_entry() {
            Some(first) if first.key().0 <= self.now => Some(first.remove()),
            _ => None,
        };
        let popped = self.wheel.pop_due(self.now);
        assert_eq!(popped, expected);
        popped.is_some()
    }

    /// Mostly one of the latest keys, whose entries are more likely to be alive.
    fn random_key(&mut self) -> Option<(TimerKey, u64)> {
        let reach = if self.random.below(4) == 0 { self.keys.len() } else { self.keys.len().min(40) };
        let back = self.random.below(reach.max(1) as u64) as usize;
        self.keys.iter().nth_back(back).copied()
    }
}

/// Checks every invariant that the code relies on.
fn assert_sound<T>(wheel: &Wheel<T>) {
    assert!(wheel.near.is_sorted_by(|a, b| a > b));
    let records = wheel.near.iter().chain(wheel.late.iter().map(|Reverse(due)| due));
    let living = records.filter(|due| is_living(&wheel.entries, due)).count();
    assert_eq!(living + wheel.tombstones, wheel.near.len() + wheel.late.len());
    assert_tombstones_bounded(wheel);

    let mut hanging = 0;
    for (bucket, slot) in wheel.slots.iter().enumerate() {
        let occupied = wheel.occupied[bucket / SLOTS] >> (bucket % SLOTS) & 1 == 1;
        assert_eq!(occupied, !slot.records.is_empty());
        for (place, &Record { deadline, index }) in slot.records.iter().enumerate() {
            assert_eq!(wheel.entries[index as usize].place as usize, place);
            assert_eq!(wheel.bucket_of(deadline), bucket);
            assert!(tick_of(deadline) > wheel.cursor);
            assert!(slot.min <= deadline);
            hanging += 1;
        }
    }
    assert_eq!(living + hanging, wheel.len());
}

fn assert_tombstones_bounded<T>(wheel: &Wheel<T>) {
    let living = wheel.near.len() + wheel.late.len() - wheel.tombstones;
    assert!(wheel.tombstones <= living + SPARE_TOMBSTONES);
}

fn drain<T>(wheel: &mut Wheel<T>, now_ns: u64) -> Vec<T> {
    std::iter::from_fn(|| wheel.pop_due(now_ns)).collect()
}

/// Deadlines at and around every power of two, and so around the edges of every level.
fn boundaries() -> Vec<u64> {
    let powers = (0..u64::BITS).map(|bit| 1_u64 << bit);
    powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX - 1, u64::MAX]).collect()
}

/// Marsaglia's xorshift: the same numbers on every machine.
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        random.next(); // small seeds begin alike
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// A number of a random magnitude, up to that many bits.
    fn up_to_bits(&mut self, bits: u32) -> u64 {
        let bits = 1 + self.below(u64::from(bits.min(63))) as u32;
        self.next() >> (u64::BITS - bits)
    }
}
