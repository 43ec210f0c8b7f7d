//! What the kernel is asked to watch, by the mode.

use super::Told::Woken;
use super::*;

#[test]
fn in_edge_mode_the_kernel_is_never_asked_again() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Edge);
    for _ in 0..3 {
        for (direction, waker) in [(Direction::Read, 0), (Direction::Write, 1), (Direction::Read, 2)] {
            let mut place = None;
            let (_, rearm) = stage.wait(key, direction, Who::Future(&mut place), waker).unwrap();
            assert_eq!(rearm, None);
        }
        assert_eq!(stage.event(key, Interest::BOTH), (vec![Woken(0), Woken(2), Woken(1)], None));
        assert_eq!(stage.event(key, Interest::BOTH), (vec![], None));
    }
}

#[test]
fn in_level_mode_a_direction_is_added_when_somebody_waits() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    let waited = |direction, waker| stage.wait(key, direction, Who::Task, waker).unwrap();
    assert_eq!(waited(Direction::Read, 0), (None, None), "it was registered for this");
    assert_eq!(waited(Direction::Write, 0), (None, asks(key, Interest::BOTH, PollMode::Level)));
    assert_eq!(waited(Direction::Write, 1), (None, None));
}

/// So a connection that is served costs no system call but those that serve it.
#[test]
fn in_level_mode_the_watching_goes_on_at_an_event_that_somebody_waits_for() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    for _ in 0..3 {
        assert_eq!(stage.wait(key, Direction::Read, Who::Task, 0), Some((None, None)));
        assert_eq!(stage.event(key, READ), (vec![Woken(0)], None));
    }
}

#[test]
fn in_level_mode_a_direction_is_taken_out_at_an_event_that_nobody_waits_for() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    stage.wait(key, Direction::Read, Who::Task, 0);
    stage.wait(key, Direction::Write, Who::Task, 0);
    assert_eq!(stage.event(key, READ).0, [Woken(0)]);
    assert_eq!(
        stage.event(key, READ),
        (vec![], asks(key, WRITE, PollMode::Level)),
        "the writer waits, nobody reads"
    );
    assert_eq!(stage.event(key, READ), (vec![], None), "once");
    let waited = stage.wait(key, Direction::Read, Who::Task, 1).unwrap();
    assert_eq!(waited.1, asks(key, Interest::BOTH, PollMode::Level), "who waits again has it added again");
}

/// A hang-up is told for both directions, asked for or not.
#[test]
fn in_level_mode_an_event_in_a_direction_that_is_not_watched_changes_nothing() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Level);
    stage.wait(key, Direction::Read, Who::Task, 0);
    assert_eq!(stage.event(key, WRITE), (vec![], None));
    assert_eq!(stage.event(key, Interest::BOTH).0, [Woken(0)]);
}

/// As long as it is reported again and again, somebody has to take it out.
#[test]
fn in_level_mode_nothing_is_left_to_be_watched_after_two_events_at_most() {
    for ready in [READ, WRITE, Interest::BOTH] {
        let stage = Stage::new();
        let key = stage.registered(PollMode::Level);
        stage.wait(key, Direction::Read, Who::Task, 0);
        stage.wait(key, Direction::Write, Who::Task, 0);
        let asked: Vec<_> = (0..2).filter_map(|_| stage.event(key, ready).1).collect();
        let left = Interest::BOTH.without(ready);
        assert_eq!(asked.last().copied(), asks(key, left, PollMode::Level));
        assert_eq!(stage.event(key, ready), (vec![], None));
    }
}

#[test]
fn in_oneshot_mode_the_watching_is_renewed_for_each_wait() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Oneshot);
    assert_eq!(stage.wait(key, Direction::Read, Who::Task, 0), Some((None, None)));
    for _ in 0..3 {
        assert_eq!(stage.event(key, READ), (vec![Woken(0)], None), "it has ended by itself");
        let waited = stage.wait(key, Direction::Read, Who::Task, 0).unwrap();
        assert_eq!(waited.1, asks(key, READ, PollMode::Oneshot));
    }
}

#[test]
fn in_oneshot_mode_an_event_for_one_renews_the_watching_for_the_other() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Oneshot);
    stage.wait(key, Direction::Read, Who::Task, 0);
    let waited = stage.wait(key, Direction::Write, Who::Task, 1);
    assert_eq!(waited, Some((None, asks(key, Interest::BOTH, PollMode::Oneshot))));
    assert_eq!(stage.event(key, READ), (vec![Woken(0)], asks(key, WRITE, PollMode::Oneshot)));
    assert_eq!(
        stage.event(key, READ),
        (vec![], asks(key, WRITE, PollMode::Oneshot)),
        "told though not asked"
    );
    assert_eq!(stage.event(key, WRITE), (vec![Woken(1)], None));
}

#[test]
fn in_oneshot_mode_who_has_left_is_not_watched_for_any_more() {
    let stage = Stage::new();
    let key = stage.registered(PollMode::Oneshot);
    let reader = stage.future(key, Direction::Read, 0);
    stage.wait(key, Direction::Write, Who::Task, 1);
    stage.leave(key, Direction::Read, reader);
    assert_eq!(stage.event(key, WRITE), (vec![Woken(1)], None));
    assert_eq!(stage.wait(key, Direction::Read, Who::Task, 0).unwrap().1, asks(key, READ, PollMode::Oneshot));
}

/// It is the kernel that still watches: asking would be a system call for nothing.
#[test]
fn who_waits_where_another_has_left_does_not_ask_again() {
    for mode in [PollMode::Level, PollMode::Oneshot] {
        let stage = Stage::new();
        let key = stage.registered(mode);
        let first = stage.future(key, Direction::Read, 0);
        stage.leave(key, Direction::Read, first);
        assert_eq!(stage.wait(key, Direction::Read, Who::Task, 1), Some((None, None)));
        assert_eq!(stage.told(key, READ), [Woken(1)]);
    }
}

#[test]
fn where_the_kernel_has_refused_the_next_who_waits_asks_again() {
    for mode in [PollMode::Level, PollMode::Oneshot] {
        let stage = Stage::new();
        let key = stage.registered(mode);
        stage.wait(key, Direction::Read, Who::Task, 0);
        stage.slots.get(key).unwrap().disarmed();
        let waited = stage.wait(key, Direction::Read, Who::Task, 1).unwrap();
        assert_eq!(waited.1, asks(key, READ, mode));
    }
}

/// Or it would wait for ever: an operation that fails is tried again, by the same task.
#[test]
fn where_the_kernel_has_refused_who_stands_there_already_asks_again() {
    for mode in [PollMode::Level, PollMode::Oneshot] {
        let stage = Stage::new();
        let key = stage.registered(mode);
        stage.wait(key, Direction::Read, Who::Task, 0);
        let mut future = stage.future(key, Direction::Read, 1);
        let slot = stage.slots.get(key).unwrap();
        slot.disarmed();
        assert_eq!(
            stage.wait(key, Direction::Read, Who::Task, 0).unwrap().1,
            asks(key, READ, mode),
            "a task"
        );
        slot.disarmed();
        assert_eq!(
            stage.wait(key, Direction::Read, Who::Future(&mut future), 1).unwrap().1,
            asks(key, READ, mode),
            "a future"
        );
    }
}

#[test]
fn what_the_kernel_is_asked_for_callbacks_is_what_they_want() {
    let stage = Stage::new();
    let (key, _call) = stage.watched(SEVEN, 1);
    let wanted = || stage.slots.get(key).unwrap().wanted();
    assert_eq!(wanted(), READ);
    stage.slots.set_repeating(key, Direction::Write, Some(stage.call(2)));
    assert_eq!(wanted(), Interest::BOTH);
    for ready in [READ, WRITE, Interest::BOTH] {
        assert_eq!(stage.event(key, ready).1, None, "both go on");
    }
    stage.slots.set_repeating(key, Direction::Read, None);
    assert_eq!(wanted(), WRITE);
}

/// Where nothing else exists, `add_reader` is renewed at once.
#[test]
fn a_callback_in_oneshot_mode_is_watched_for_again_after_each_event() {
    let stage = Stage::new();
    let key = stage.slots.reserve(Owner::Callbacks, PollMode::Oneshot, READ, Interest::NONE);
    stage.slots.registered(key, SEVEN);
    stage.slots.set_repeating(key, Direction::Read, Some(stage.call(1)));
    for _ in 0..3 {
        assert_eq!(stage.event(key, READ), (vec![Told::Called(1)], asks(key, READ, PollMode::Oneshot)));
    }
    stage.slots.set_repeating(key, Direction::Read, None);
    assert_eq!(stage.event(key, READ), (vec![], None));
}
