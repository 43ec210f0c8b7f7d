//! What the system is given to name a registration.

use super::super::{GENERATIONS, INDEX_BITS};
use super::*;

const MOST_INDEX: u32 = ((1u64 << INDEX_BITS) - 1) as u32;

#[test]
fn a_key_survives_its_way_through_the_system() {
    for index in [0, 1, MOST_INDEX / 2, MOST_INDEX - 1, MOST_INDEX] {
        for generation in [0, 1, GENERATIONS / 2, GENERATIONS - 1, GENERATIONS] {
            let key = SlotKey { index, generation };
            assert_eq!(SlotKey::from_usize(key.as_usize()), key);
        }
    }
}

#[test]
fn keys_of_different_registrations_differ() {
    let mut keys = std::collections::BTreeSet::new();
    for index in [0, 1, 2, MOST_INDEX] {
        for generation in [0, 1, 2, GENERATIONS] {
            assert!(keys.insert(SlotKey { index, generation }.as_usize()));
        }
    }
}

/// The highest two are the poller's own and the bell's.
#[test]
fn the_highest_keys_are_never_given_out() {
    let highest = SlotKey { index: MOST_INDEX, generation: GENERATIONS }.as_usize();
    assert!(highest <= usize::MAX / 2, "its highest bit is clear");
}

#[test]
fn generations_fill_the_bits_that_the_number_leaves_but_one() {
    assert_eq!(GENERATIONS.count_ones(), usize::BITS - 1 - INDEX_BITS);
    assert_eq!(GENERATIONS.trailing_ones(), GENERATIONS.count_ones());
    assert_eq!(GENERATIONS.wrapping_add(1) & GENERATIONS, 0, "and come round to 0");
}

#[test]
fn a_slot_that_is_taken_again_has_another_key_with_the_same_number() {
    let stage = Stage::new();
    let mut keys = Vec::new();
    for _ in 0..100 {
        let key = stage.registered(PollMode::Edge);
        assert_eq!(key.index, 0);
        assert!(!keys.contains(&key));
        keys.push(key);
        stage.slots.free(key);
    }
}

#[test]
fn the_highest_keys_meet_nobody() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    let _waiter = stage.future(key, Direction::Read, 0);
    for key in [usize::MAX, usize::MAX - 1] {
        let event = Event { key, ready: Interest::BOTH, split: true };
        assert_eq!(stage.event_keeping(event, true), (vec![], None));
    }
}

#[test]
fn a_key_of_a_slot_that_was_never_taken_meets_nobody() {
    let stage = Stage::new();
    stage.registered(PollMode::Edge);
    let unknown = SlotKey { index: 1, generation: 0 };
    assert!(stage.slots.get(unknown).is_none());
    assert_eq!(stage.told(unknown, Interest::BOTH), []);
    assert!(stage.slots.free(unknown).is_empty());
}
