//! Readiness, and the lines of those who wait for it.

use super::Told::{Called, Woken};
use super::*;

#[test]
fn a_new_registration_counts_as_ready_but_where_there_was_nothing() {
    let stage = Stage::new();
    for (exhausted, ready) in [
        (READ, (false, true)),
        (WRITE, (true, false)),
        (Interest::NONE, (true, true)),
        (Interest::BOTH, (false, false)),
    ] {
        let key = stage.slots.reserve(Owner::Source, PollMode::Edge, Interest::BOTH, exhausted);
        assert_eq!(stage.is_ready(key), ready);
    }
}

#[test]
fn readiness_is_set_by_an_event_and_cleared_by_who_finds_nothing() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        let slot = stage.slots.get(key).unwrap();
        slot.exhausted(Direction::Write);
        assert_eq!(stage.is_ready(key), (false, false));
        stage.event(key, READ);
        assert_eq!(stage.is_ready(key), (true, false));
        stage.event(key, WRITE);
        assert_eq!(stage.is_ready(key), (true, true), "what was ready stays so");
        slot.exhausted(Direction::Read);
        assert_eq!(stage.is_ready(key), (false, true));
    }
}

#[test]
fn readiness_outlives_a_waiter_that_was_told_and_dropped_before_its_turn() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        let waiter = stage.future(key, Direction::Read, 0);
        assert_eq!(stage.told(key, READ), [Woken(0)]);
        assert_eq!(stage.leave(key, Direction::Read, waiter), None, "it stands there no more");
        assert_eq!(stage.is_ready(key), (true, true), "the next finds the state");
    }
}

#[test]
fn a_short_read_clears_readiness_but_where_an_edge_may_have_told_the_end() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        let slot = stage.slots.get(key).unwrap();
        stage.event(key, READ);
        slot.drained(Direction::Read);
        assert!(!slot.is_ready(Direction::Read), "there is nothing more");
        stage.event_keeping(Event { key: key.as_usize(), ready: READ, split: true }, true);
        slot.drained(Direction::Read);
        // No second edge tells the end; the others are told as long as it is there.
        assert_eq!(slot.is_ready(Direction::Read), mode == PollMode::Edge);
        slot.exhausted(Direction::Read);
        assert!(!slot.is_ready(Direction::Read), "but what the system says counts");
        stage.event(key, READ);
        slot.drained(Direction::Read);
        assert_eq!(slot.is_ready(Direction::Read), mode == PollMode::Edge, "and an end stays the end");
    }
}

#[test]
fn an_end_is_forgotten_with_its_registration() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    stage.event_keeping(Event { key: key.as_usize(), ready: READ, split: true }, true);
    stage.slots.free(key);
    let key = stage.registered(PollMode::Edge);
    stage.event(key, READ);
    stage.slots.get(key).unwrap().drained(Direction::Read);
    assert_eq!(stage.is_ready(key), (false, true));
}

#[test]
fn an_event_tells_all_who_wait_first_come_first_told() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        for waker in [3, 1, 4, 0, 5] {
            stage.future(key, Direction::Read, waker);
        }
        assert_eq!(stage.slots.waiting(), 5);
        assert_eq!(stage.told(key, READ), [3, 1, 4, 0, 5].map(Woken));
        assert_eq!(stage.slots.waiting(), 0);
        assert_eq!(stage.told(key, READ), [], "each once");
    }
}

#[test]
fn only_the_direction_of_the_event_is_told_and_of_both_the_reader_first() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        stage.future(key, Direction::Write, 0);
        stage.future(key, Direction::Read, 1);
        assert_eq!(stage.told(key, READ), [Woken(1)]);
        stage.future(key, Direction::Read, 2);
        assert_eq!(stage.told(key, Interest::BOTH), [Woken(2), Woken(0)]);
    }
}

#[test]
fn who_leaves_is_not_told_and_the_others_keep_their_order() {
    for leaving in [&[0][..], &[1], &[3], &[0, 1], &[0, 3], &[1, 2], &[0, 1, 2, 3]] {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        let places: Vec<_> = (0..4).map(|waker| stage.future(key, Direction::Read, waker)).collect();
        for &waker in leaving {
            assert_eq!(stage.leave(key, Direction::Read, places[waker]), Some(Woken(waker)));
            assert_eq!(stage.leave(key, Direction::Read, places[waker]), None, "once");
        }
        stage.future(key, Direction::Read, 4);
        assert_eq!(stage.slots.waiting(), 5 - leaving.len());
        let staying: Vec<_> = (0..5).filter(|waker| !leaving.contains(waker)).map(Woken).collect();
        assert_eq!(stage.told(key, READ), staying, "{leaving:?} have left");
    }
}

#[test]
fn a_waiter_keeps_its_place_when_its_waker_changes() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    let mut places: Vec<_> = (0..3).map(|waker| stage.future(key, Direction::Read, waker)).collect();
    for (waker, place) in places.iter_mut().enumerate() {
        let waited = stage.wait(key, Direction::Read, Who::Future(place), waker + 3);
        assert_eq!(waited, Some((Some(Woken(waker)), None)), "the former waker is given back");
    }
    assert_eq!(stage.slots.waiting(), 3);
    assert_eq!(stage.told(key, READ), [3, 4, 5].map(Woken));
}

#[test]
fn a_waiter_that_was_told_in_vain_keeps_its_place() {
    for keep in [true, false] {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        let mut first = stage.future(key, Direction::Read, 0);
        stage.future(key, Direction::Read, 1);
        let event = Event { key: key.as_usize(), ready: READ, split: false };
        assert_eq!(stage.event_keeping(event, keep).0, [Woken(0), Woken(1)]);
        stage.future(key, Direction::Read, 2);
        stage.wait(key, Direction::Read, Who::Future(&mut first), 0);
        assert_eq!(stage.event_keeping(event, keep).0, [Woken(0), Woken(2)]);
    }
}

#[test]
fn a_task_is_known_by_its_waker_wherever_it_stands() {
    for place in 0..3 {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        for waker in 0..3 {
            stage.wait(key, Direction::Read, Who::Task, waker);
        }
        for _ in 0..10 {
            let waited = stage.wait(key, Direction::Read, Who::Task, place);
            assert_eq!(waited, Some((Some(Woken(place)), None)));
        }
        assert_eq!(stage.slots.waiting(), 3);
        assert_eq!(stage.told(key, READ), [0, 1, 2].map(Woken));
    }
}

#[test]
fn a_task_waits_in_each_direction_by_itself() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    stage.wait(key, Direction::Read, Who::Task, 0);
    stage.wait(key, Direction::Write, Who::Task, 0);
    assert_eq!(stage.slots.waiting(), 2);
    assert_eq!(stage.told(key, WRITE), [Woken(0)]);
    assert_eq!(stage.told(key, READ), [Woken(0)]);
}

/// A task may poll the socket itself and hold a future of it, too, which it may drop.
#[test]
fn a_task_that_waits_is_not_lost_with_its_future_that_leaves() {
    for before in 0..2 {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        for waker in 0..before {
            stage.future(key, Direction::Read, waker + 1);
        }
        let future = stage.future(key, Direction::Read, 0);
        stage.wait(key, Direction::Read, Who::Task, 0);
        assert_eq!(stage.leave(key, Direction::Read, future), Some(Woken(0)));
        assert!(stage.told(key, READ).contains(&Woken(0)), "the task waits still, {before} stand before it");
    }
}

#[test]
fn a_future_that_waits_is_not_lost_with_the_task_that_polls_it() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    stage.wait(key, Direction::Read, Who::Task, 0);
    let future = stage.future(key, Direction::Read, 0);
    assert_eq!(stage.slots.waiting(), 2);
    assert_eq!(stage.leave(key, Direction::Read, future), Some(Woken(0)));
    assert_eq!(stage.told(key, READ), [Woken(0)]);
}

#[test]
fn the_key_of_a_waiter_is_forgotten_once_it_was_told() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    let slot = stage.slots.get(key).unwrap();
    let mut waiter = stage.future(key, Direction::Read, 0);
    let standing = waiter;
    slot.forget_told(Direction::Read, &mut Who::Future(&mut waiter));
    assert_eq!(waiter, standing, "not before");
    stage.told(key, READ);
    slot.forget_told(Direction::Read, &mut Who::Future(&mut waiter));
    assert_eq!(waiter, None);
}

#[test]
fn a_key_from_before_does_not_take_out_who_stands_in_its_place() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    let old: Vec<_> = (0..3).map(|waker| stage.future(key, Direction::Read, waker)).collect();
    stage.told(key, READ);
    for waker in 3..6 {
        stage.future(key, Direction::Read, waker);
    }
    for waiter in old {
        assert_eq!(stage.leave(key, Direction::Read, waiter), None);
    }
    assert_eq!(stage.told(key, READ), [3, 4, 5].map(Woken));
}

#[test]
fn a_callback_is_told_at_each_event_until_it_is_removed() {
    let stage = Stage::new();
    let (key, _reader) = stage.watched(SEVEN, 1);
    let writer: Rc<dyn Repeated> = stage.call(2);
    assert!(stage.slots.set_repeating(key, Direction::Write, Some(writer)).is_none());
    assert_eq!(stage.slots.waiting(), 2);
    for _ in 0..3 {
        assert_eq!(stage.told(key, Interest::BOTH), [Called(1), Called(2)]);
        assert_eq!(stage.told(key, READ), [Called(1)]);
    }
    let former = stage.slots.set_repeating(key, Direction::Read, None);
    assert_eq!(stage.names(former), [Called(1)]);
    assert_eq!(stage.told(key, Interest::BOTH), [Called(2)]);
    assert!(stage.slots.set_repeating(key, Direction::Read, None).is_none());
    assert_eq!(stage.slots.waiting(), 1);
}

#[test]
fn a_callback_replaces_the_one_before_in_its_direction() {
    let stage = Stage::new();
    let (key, first) = stage.watched(SEVEN, 1);
    let former = stage.slots.set_repeating(key, Direction::Read, Some(stage.call(2)));
    assert_eq!(stage.names(former), [Called(1)]);
    assert!(!first.ended.get(), "that is for whoever got it back");
    assert_eq!(stage.slots.waiting(), 1);
    assert_eq!(stage.told(key, READ), [Called(2)]);
}

/// A server that is busy for hours gives out more than there are.
#[test]
fn the_order_holds_when_the_serial_numbers_come_round() {
    for before in 0..6 {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Edge);
        stage.slots.serial.set(u32::MAX - before);
        let mut places: Vec<_> = (0..5).map(|waker| stage.future(key, Direction::Read, waker)).collect();
        assert_eq!(stage.told(key, READ), [0, 1, 2, 3, 4].map(Woken));
        for waker in [3, 4, 1, 0, 2] {
            stage.wait(key, Direction::Read, Who::Future(&mut places[waker]), waker);
        }
        stage.wait(key, Direction::Read, Who::Task, 5);
        assert_eq!(stage.leave(key, Direction::Read, places[1]), Some(Woken(1)));
        assert_eq!(stage.told(key, READ), [0, 2, 3, 4, 5].map(Woken), "{before} before the last number");
    }
}

/// Some wait for so long that the numbers come half round behind their backs: each is told all the same.
#[test]
fn all_are_told_however_many_numbers_lie_between_them() {
    for seed in 1..=20_u32 {
        let mut stage = Stage::new();
        stage.wakers = (0..100).map(|_| waker()).collect();
        let key = stage.registered(PollMode::Edge);
        for number in 0..100 {
            stage.slots.serial.set(seed.wrapping_mul(0x9E37_79B9).wrapping_mul(2 * number + 1));
            stage.future(key, Direction::Read, number as usize);
        }
        let mut told = stage.told(key, READ);
        told.sort();
        assert_eq!(told, (0..100).map(Woken).collect::<Vec<_>>());
        assert_eq!(stage.slots.waiting(), 0);
    }
}
