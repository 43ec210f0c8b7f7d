//! Whoever is told may be others' code, which uses the slots in turn.

use super::Told::Woken;
use super::*;

/// Notes an event, and the first who is told calls `back`; says who was told and what the kernel has to be asked.
fn noting(stage: &Stage, event: Event, back: impl FnOnce()) -> (Vec<Told>, Option<Rearm>) {
    let mut back = Some(back);
    let noted = stage.slots.note(event, |waker| {
        stage.log.borrow_mut().push(stage.name(&waker));
        if let Some(back) = back.take() {
            back();
        }
        None
    });
    let rearm = noted.map(|(_, rearm)| rearm);
    (stage.log.take(), rearm)
}

fn event(key: SlotKey, ready: Interest) -> Event {
    Event { key: key.as_usize(), ready, split: false }
}

#[test]
fn who_is_told_finds_the_readiness_and_may_wait_again() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        stage.future(key, Direction::Read, 0);
        let (told, _) = noting(&stage, event(key, READ), || {
            assert_eq!(stage.is_ready(key), (true, true));
            stage.slots.get(key).unwrap().exhausted(Direction::Read);
            stage.future(key, Direction::Read, 1);
            assert_eq!(stage.slots.waiting(), 1);
        });
        assert_eq!(told, [Woken(0)], "once for each event");
        assert_eq!(stage.told(key, READ), [Woken(1)]);
        assert_eq!(stage.slots.waiting(), 0);
    }
}

/// An event tells of a hang-up, say, in both directions; nobody waits to read; the writer that is told goes on to
/// read, and finds nothing.
#[test]
fn who_begins_to_wait_while_others_are_told_is_watched_for() {
    for mode in [PollMode::Level, PollMode::Oneshot] {
        let stage = Stage::new();
        let key = stage.registered(mode);
        stage.future(key, Direction::Write, 0);
        let mut watched = Interest::BOTH;
        let asked = Cell::new(None);
        let (told, rearm) = noting(&stage, event(key, Interest::BOTH), || {
            stage.slots.get(key).unwrap().exhausted(Direction::Read);
            asked.set(stage.wait(key, Direction::Read, Who::Task, 1).unwrap().1);
        });
        assert_eq!(told, [Woken(0)]);
        for rearm in [asked.get(), rearm].into_iter().flatten() {
            watched = rearm.interest;
        }
        assert!(watched.contains(Direction::Read), "{mode:?}: {watched:?} is watched");
    }
}

#[test]
fn who_is_told_may_take_others_out_of_the_line() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    stage.future(key, Direction::Read, 0);
    let writer = stage.future(key, Direction::Write, 1);
    stage.future(key, Direction::Write, 2);
    let (told, _) = noting(&stage, event(key, Interest::BOTH), || {
        assert_eq!(stage.leave(key, Direction::Write, writer), Some(Woken(1)));
    });
    assert_eq!(told, [Woken(0), Woken(2)]);
    assert_eq!(stage.slots.waiting(), 0);
}

#[test]
fn who_is_told_may_end_the_registration() {
    for mode in MODES {
        let stage = Stage::new();
        let key = stage.registered(mode);
        for waker in 0..3 {
            stage.future(key, Direction::Read, waker);
        }
        let given_back = Cell::new(0);
        let (told, _) = noting(&stage, event(key, READ), || given_back.set(stage.slots.free(key).len()));
        assert_eq!(told.len() + given_back.get(), 3, "each is told or given back");
        assert_eq!((stage.slots.len(), stage.slots.waiting()), (0, 0));
        let event = Event { key: key.as_usize(), ready: READ, split: false };
        assert_eq!(stage.event_keeping(event, true), (vec![], None));
    }
}

#[test]
fn a_registration_that_takes_the_slot_meanwhile_has_nothing_to_do_with_the_event() {
    for mode in MODES {
        let stage = Stage::new();
        let old = stage.registered(mode);
        stage.future(old, Direction::Read, 0);
        let new = Cell::new(None);
        let (told, _) = noting(&stage, event(old, Interest::BOTH), || {
            stage.slots.free(old);
            let key = stage.slots.reserve(Owner::Source, mode, Interest::BOTH, Interest::BOTH);
            stage.slots.registered(key, SEVEN);
            stage.future(key, Direction::Write, 1);
            new.set(Some(key));
        });
        assert_eq!(told, [Woken(0)], "the other one's event has not come");
        let new = new.get().unwrap();
        assert_eq!(stage.is_ready(new), (false, false));
        assert_eq!(stage.told(new, WRITE), [Woken(1)]);
    }
}

#[test]
fn who_is_told_may_register_others() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    stage.future(key, Direction::Read, 0);
    let (told, _) = noting(&stage, event(key, READ), || {
        for raw in 100..200 {
            let key = stage.registered_as(raw, PollMode::Edge);
            stage.future(key, Direction::Read, 1);
        }
    });
    assert_eq!(told, [Woken(0)]);
    assert_eq!((stage.slots.len(), stage.slots.waiting()), (101, 100));
}
