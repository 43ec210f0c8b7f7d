//! Registrations that end, numbers that are used again, and the end of the loop.

use super::Told::{Called, Woken};
use super::*;

#[test]
fn an_event_of_a_registration_that_has_ended_meets_nobody() {
    for mode in MODES {
        let stage = Stage::new();
        let old = stage.registered(mode);
        stage.slots.free(old);
        assert_eq!(stage.event(old, Interest::BOTH), (vec![], None));
        let new = stage.registered(mode);
        assert_ne!(old, new);
        stage.future(new, Direction::Read, 0);
        assert_eq!(stage.event(old, Interest::BOTH), (vec![], None), "nor who has the slot now");
        assert_eq!(stage.is_ready(new), (false, true));
        assert_eq!(stage.told(new, READ), [Woken(0)]);
    }
}

#[test]
fn an_old_key_changes_nothing_in_the_slots_new_registration() {
    let stage = Stage::new();
    let old = stage.registered(PollMode::Edge);
    let waiter = stage.future(old, Direction::Read, 0);
    stage.slots.free(old);
    let new = stage.registered(PollMode::Edge);
    stage.future(new, Direction::Read, 1);
    assert!(stage.slots.get(old).is_none());
    assert_eq!(stage.leave(old, Direction::Read, waiter), None);
    assert!(stage.slots.set_repeating(old, Direction::Read, Some(stage.call(9))).is_none());
    assert!(stage.slots.free(old).is_empty());
    assert_eq!((stage.slots.len(), stage.slots.waiting()), (1, 1));
    assert_eq!(stage.told(new, READ), [Woken(1)]);
}

#[test]
fn a_slot_that_is_freed_gives_back_who_waits_readers_first_in_their_order() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        for (direction, waker) in
            [(Direction::Write, 0), (Direction::Read, 1), (Direction::Read, 2), (Direction::Write, 3)]
        {
            stage.future(key, direction, waker);
        }
        let watchers = stage.slots.free(key);
        assert_eq!(stage.names(watchers), [1, 2, 0, 3].map(Woken));
        assert_eq!((stage.slots.len(), stage.slots.waiting()), (0, 0));
        assert!(stage.slots.free(key).is_empty(), "once");
        assert_eq!(stage.slots.len(), 0);
    }
}

/// Its waker may still stand there, for the next time; but it has gone on to something else.
#[test]
fn who_was_told_before_is_not_given_back_with_those_who_wait() {
    for keep in [true, false] {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        stage.wait(key, Direction::Read, Who::Task, 0);
        stage.event_keeping(Event { key: key.as_usize(), ready: READ, split: false }, keep);
        stage.future(key, Direction::Write, 1);
        let watchers = stage.slots.free(key);
        assert_eq!(stage.names(watchers), [Woken(1)]);
    }
}

#[test]
fn a_slot_that_is_taken_again_remembers_nothing() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    stage.future(key, Direction::Read, 0);
    stage.future(key, Direction::Write, 1);
    stage.told(key, READ);
    stage.slots.free(key);
    let key = stage.slots.reserve(Owner::Source, PollMode::Oneshot, WRITE, WRITE);
    assert_eq!(stage.is_ready(key), (true, false));
    assert_eq!(stage.slots.get(key).unwrap().wanted(), Interest::NONE);
    assert_eq!(stage.told(key, Interest::BOTH), []);
}

#[test]
fn a_registration_that_could_not_be_made_leaves_nothing() {
    let stage = Stage::new();
    let key = stage.slots.reserve(Owner::Source, PollMode::Edge, Interest::BOTH, READ);
    assert!(stage.slots.get(key).is_some());
    assert!(stage.slots.free(key).is_empty());
    assert_eq!(stage.slots.len(), 0);
    assert!(stage.slots.find(SEVEN).is_none());
}

#[test]
fn a_number_leads_to_who_has_registered_it() {
    let stage = Stage::new();
    let source = stage.registered(PollMode::Edge);
    let (reader, _call) = stage.watched(8, 1);
    assert_eq!(stage.slots.find(SEVEN), Some((source, Owner::Source)));
    assert_eq!(stage.slots.find(8), Some((reader, Owner::Callbacks)));
    assert_eq!(stage.slots.find(9), None);
    stage.slots.free(source);
    stage.slots.free(reader);
    assert_eq!((stage.slots.find(SEVEN), stage.slots.find(8)), (None, None));
}

/// A source that was dropped on another thread: its number may be used again before word of it comes.
#[test]
fn a_source_whose_number_is_another_s_by_now_asks_nothing_of_the_kernel() {
    for mode in [PollMode::Level, PollMode::Oneshot] {
        let stage = Stage::new();
        let old = stage.registered(mode);
        stage.wait(old, Direction::Read, Who::Task, 0);
        let new = stage.registered(mode);
        assert_eq!(stage.slots.find(SEVEN), Some((new, Owner::Source)));
        assert_eq!(stage.wait(old, Direction::Write, Who::Task, 0), Some((None, None)));
        assert_eq!(stage.event(old, READ), (vec![Woken(0)], None), "the number is not its own");
        assert_eq!(stage.event(old, READ), (vec![], None));
        stage.wait(new, Direction::Read, Who::Task, 1);
        let watchers = stage.slots.free(old);
        assert!(stage.names(watchers).contains(&Woken(0)), "the writer waits in vain");
        assert_eq!(stage.slots.find(SEVEN), Some((new, Owner::Source)), "the late word takes nothing");
        assert_eq!(
            stage.wait(new, Direction::Write, Who::Task, 1).unwrap().1,
            asks(new, Interest::BOTH, mode)
        );
        assert_eq!(stage.told(new, READ), [Woken(1)]);
        assert_eq!((stage.slots.len(), stage.slots.waiting()), (1, 1));
    }
}

#[test]
fn callbacks_on_a_number_that_is_another_s_by_now_are_given_back() {
    let stage = Stage::new();
    let (old, _reader) = stage.watched(SEVEN, 1);
    stage.slots.set_repeating(old, Direction::Write, Some(stage.call(2)));
    let new = stage.slots.reserve(Owner::Source, PollMode::Edge, Interest::BOTH, READ);
    let watchers = stage.slots.registered(new, SEVEN);
    assert_eq!(stage.names(watchers), [Called(1), Called(2)]);
    assert!(stage.slots.get(old).is_none());
    assert_eq!(stage.slots.find(SEVEN), Some((new, Owner::Source)));
    assert_eq!((stage.slots.len(), stage.slots.waiting()), (1, 0));
    assert_eq!(stage.event(old, READ), (vec![], None));
}

#[test]
fn callbacks_on_a_number_used_again_by_others_are_given_back_too() {
    let stage = Stage::new();
    stage.watched(SEVEN, 1);
    let new = stage.slots.reserve(Owner::Callbacks, PollMode::Level, READ, Interest::NONE);
    let watchers = stage.slots.registered(new, SEVEN);
    assert_eq!(stage.names(watchers), [Called(1)]);
    assert_eq!(stage.slots.find(SEVEN), Some((new, Owner::Callbacks)));
    assert_eq!(stage.slots.len(), 1);
}

#[test]
fn the_end_gives_everybody_back_and_the_numbers_of_callbacks_only() {
    let stage = Stage::new();
    let source = stage.registered(PollMode::Edge);
    stage.future(source, Direction::Read, 0);
    stage.wait(source, Direction::Write, Who::Task, 1);
    let (reader, _call) = stage.watched(8, 1);
    let freed = stage.registered_as(9, PollMode::Level);
    stage.slots.free(freed);
    let (watchers, numbers) = stage.slots.close();
    assert_eq!(stage.names(watchers), [Woken(0), Woken(1), Called(1)]);
    assert_eq!(numbers, [8]);
    assert_eq!((stage.slots.len(), stage.slots.waiting()), (0, 0));
    for key in [source, reader, freed] {
        assert_eq!(stage.event(key, Interest::BOTH), (vec![], None));
        assert!(stage.slots.free(key).is_empty());
    }
    let (watchers, numbers) = stage.slots.close();
    assert!(watchers.is_empty() && numbers.is_empty(), "and may be repeated");
}

/// A source outlives its loop; what it kept to find its slot leads to a slot that says so.
#[test]
fn a_short_way_leads_to_its_slot_and_shows_when_that_has_ended() {
    let (stage, other) = (Stage::new(), Stage::new());
    let key = stage.registered(PollMode::Edge);
    other.registered(PollMode::Edge);
    let way = stage.slots.handle(key).unwrap();
    stage.slots.get(key).unwrap().exhausted(Direction::Write);
    assert!(!stage.slots.at(&way).unwrap().is_ready(Direction::Write), "the same slot");
    assert!(other.slots.at(&way).is_none(), "other slots do not know it");
    assert!(stage.slots.at(&way).unwrap().in_use());
    stage.slots.close();
    assert!(!stage.slots.at(&way).unwrap().in_use());
}
