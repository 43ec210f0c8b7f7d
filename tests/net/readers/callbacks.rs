//! What callbacks may do: remove, replace, add, fail, and be dropped.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;

use evloop::{LoopHandle, get_running_loop};

use super::{Calls, pair};
use crate::support::{in_time, on_every_loop, registrations, settle};

/// A descriptor with something to read, and its peer.
fn readable_pair() -> (Rc<UnixStream>, UnixStream) {
    let (a, mut b) = pair();
    b.write_all(b"!").unwrap();
    (Rc::new(a), b)
}

fn handle() -> LoopHandle {
    get_running_loop().unwrap()
}

/// From now on, what the running loop's exception handler is told.
fn reports() -> Rc<RefCell<Vec<String>>> {
    let reports = Rc::<RefCell<Vec<String>>>::default();
    let sink = reports.clone();
    handle().set_exception_handler(move |context| {
        sink.borrow_mut().push(format!("{}: {}", context.message(), context.panic_message()));
    });
    reports
}

/// A panic that prints nothing.
fn fail(text: &'static str) {
    resume_unwind(Box::new(text));
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A callback that does nothing but own something.
fn holds<T: 'static>(value: T) -> impl FnMut() + 'static {
    move || {
        let _ = &value;
    }
}

#[test]
fn a_callback_that_panics_is_reported_and_goes_on_being_called() {
    on_every_loop(|| async {
        let (a, _b) = readable_pair();
        let (reports, calls) = (reports(), Calls::default());
        let counted = calls.clone();
        let fails_twice = move || {
            counted.add();
            if counted.0.get() <= 2 {
                fail("in a reader");
            }
        };
        handle().add_reader(&*a, fails_twice).unwrap();
        settle().await;
        assert!(calls.take() >= 3);
        assert_eq!(reports.take(), ["a callback panicked: in a reader"; 2]);
        assert!(handle().remove_reader(&*a));
        assert!(calls.is_dropped());
    });
}

#[test]
fn a_callback_that_panics_does_not_keep_others_from_being_called() {
    on_every_loop(|| async {
        let (reports, calls) = (reports(), Calls::default());
        let pairs: Vec<_> = (0..4).map(|_| readable_pair()).collect();
        for (i, (a, _)) in pairs.iter().enumerate() {
            if i % 2 == 0 {
                handle().add_reader(&**a, || fail("in a reader")).unwrap();
            } else {
                handle().add_reader(&**a, calls.counter()).unwrap();
            }
            handle().add_writer(&**a, calls.counter()).unwrap();
        }
        settle().await;
        assert!(calls.take() >= 18 && reports.borrow().len() >= 6);
        for (a, _) in &pairs {
            assert!(handle().remove_reader(&**a) && handle().remove_writer(&**a));
        }
    });
}

#[test]
fn a_callback_may_remove_itself() {
    on_every_loop(|| async {
        let ((a, _b), calls) = (readable_pair(), Calls::default());
        let once = {
            let (a, handle, calls) = (a.clone(), handle(), calls.clone());
            move || {
                assert!(handle.remove_reader(&*a));
                assert!(!handle.remove_reader(&*a));
                assert!(!calls.is_dropped(), "what it owns lives to the end of the call");
                calls.add();
            }
        };
        handle().add_reader(&*a, once).unwrap();
        settle().await;
        assert_eq!((calls.take(), registrations()), (1, (0, 0)));
        assert!(calls.is_dropped() && Rc::strong_count(&a) == 1);
    });
}

#[test]
fn a_callback_may_remove_itself_and_panic() {
    on_every_loop(|| async {
        let ((a, _b), calls, reports) = (readable_pair(), Calls::default(), reports());
        let once = {
            let (a, handle, calls) = (a.clone(), handle(), calls.clone());
            move || {
                handle.remove_reader(&*a);
                calls.add();
                fail("at its end");
            }
        };
        handle().add_reader(&*a, once).unwrap();
        settle().await;
        assert_eq!((calls.take(), registrations()), (1, (0, 0)));
        assert_eq!(reports.take(), ["a callback panicked: at its end"]);
        assert!(calls.is_dropped());
    });
}

#[test]
fn a_callback_may_remove_and_close_its_descriptor() {
    on_every_loop(|| async {
        let ((a, mut b), calls) = (readable_pair(), Calls::default());
        let a = Rc::into_inner(a).unwrap();
        let fd = std::os::fd::AsFd::as_fd(&a).try_clone_to_owned().unwrap();
        drop(a);
        let mut fd = Some(Rc::new(fd));
        let registered = fd.clone().unwrap();
        let closes = {
            let (handle, calls) = (handle(), calls.clone());
            move || {
                handle.remove_reader(fd.take().unwrap());
                calls.add();
            }
        };
        handle().add_reader(&registered, closes).unwrap();
        drop(registered);
        settle().await;
        assert_eq!((calls.take(), registrations()), (1, (0, 0)));
        // It was closed with a byte unread.
        let gone = std::io::Read::read(&mut b, &mut [0]).map_err(|error| error.kind());
        assert!(matches!(gone, Ok(0) | Err(std::io::ErrorKind::ConnectionReset)), "{gone:?}");
    });
}

#[test]
fn a_callback_may_replace_itself() {
    on_every_loop(|| async {
        let ((a, _b), old, new) = (readable_pair(), Calls::default(), Calls::default());
        let replaces = {
            let (a, handle, old, new) = (a.clone(), handle(), old.clone(), new.clone());
            move || {
                old.add();
                handle.add_reader(&*a, new.counter()).unwrap();
                assert!(!old.is_dropped());
            }
        };
        handle().add_reader(&*a, replaces).unwrap();
        settle().await;
        assert_eq!((old.take(), registrations()), (1, (1, 1)));
        assert!(new.take() >= 1 && old.is_dropped());
        assert!(handle().remove_reader(&*a));
        assert!(new.is_dropped());
    });
}

#[test]
fn a_callback_may_remove_itself_and_add_another() {
    on_every_loop(|| async {
        let ((a, _b), old, new) = (readable_pair(), Calls::default(), Calls::default());
        let changes = {
            let (a, handle, old, new) = (a.clone(), handle(), old.clone(), new.clone());
            move || {
                old.add();
                assert!(handle.remove_reader(&*a));
                handle.add_writer(&*a, new.counter()).unwrap();
            }
        };
        handle().add_reader(&*a, changes).unwrap();
        settle().await;
        assert!(old.take() == 1 && new.take() >= 1);
        assert!(!handle().remove_reader(&*a) && handle().remove_writer(&*a));
    });
}

#[test]
fn a_callback_may_add_others_and_remove_those_that_are_due() {
    on_every_loop(|| async {
        let pairs: Rc<Vec<_>> = Rc::new((0..3).map(|_| readable_pair()).collect());
        let (calls, added) = (Calls::default(), Calls::default());
        for (a, _) in pairs.iter() {
            // Whoever comes first removes all, itself too.
            let first = {
                let (pairs, handle, calls, added) = (pairs.clone(), handle(), calls.clone(), added.clone());
                move || {
                    calls.add();
                    for (a, _) in pairs.iter() {
                        assert!(handle.remove_reader(&**a));
                        handle.add_writer(&**a, added.counter()).unwrap();
                    }
                }
            };
            handle().add_reader(&**a, first).unwrap();
        }
        settle().await;
        assert_eq!(calls.take(), 1);
        assert!(added.take() >= 3);
        assert!(pairs.iter().all(|(a, _)| handle().remove_writer(&**a)));
        assert!(calls.is_dropped() && added.is_dropped());
    });
}

#[test]
fn a_callback_may_start_tasks_and_stop_its_loop() {
    crate::support::on_every_kind(|builder| {
        let mut event_loop = builder.build().unwrap();
        let (handle, (a, _b), calls) = (event_loop.handle(), readable_pair(), Calls::default());
        let starts = {
            let (a, handle, calls) = (a.clone(), handle.clone(), calls.clone());
            move || {
                handle.remove_reader(&*a);
                let (stop, calls) = (handle.clone(), calls.clone());
                handle
                    .create_task(async move {
                        evloop::yield_now().await;
                        calls.add();
                        stop.stop();
                    })
                    .detach();
            }
        };
        handle.add_reader(&*a, starts).unwrap();
        event_loop.run_forever().unwrap();
        assert_eq!(calls.take(), 1);
    });
}

#[test]
fn what_is_removed_is_dropped_at_once_though_it_is_due() {
    on_every_loop(|| async {
        let ((a, _b), dropped) = (readable_pair(), Calls::default());
        let guard = OnDrop(dropped.counter());
        handle().add_reader(&*a, holds(guard)).unwrap();
        for _ in 0..100 {
            // Somewhere in here the reader is due.
            evloop::yield_now().await;
        }
        assert_eq!(dropped.take(), 0);
        assert!(handle().remove_reader(&*a));
        assert_eq!(dropped.take(), 1);
    });
}

/// A callback whose destructor adds and removes callbacks of the same descriptor.
fn meddler(handle: &LoopHandle, a: &Rc<UnixStream>, log: &Calls) -> impl FnMut() + 'static {
    let (handle, a, log) = (handle.clone(), a.clone(), log.clone());
    let guard = OnDrop(move || {
        handle.add_writer(&*a, || ()).unwrap();
        assert!(handle.remove_writer(&*a));
        log.add();
    });
    holds(guard)
}

#[test]
fn the_drop_of_a_callback_may_use_its_descriptor() {
    on_every_loop(|| async {
        let ((a, _b), log, calls) = (readable_pair(), Calls::default(), Calls::default());
        handle().add_reader(&*a, meddler(&handle(), &a, &log)).unwrap();
        handle().add_reader(&*a, calls.counter()).unwrap();
        assert_eq!(log.take(), 1, "dropped as it was replaced");
        assert!(calls.now().await > 0, "and who has replaced it stays");
        handle().add_reader(&*a, meddler(&handle(), &a, &log)).unwrap();
        assert!(handle().remove_reader(&*a));
        assert_eq!((log.take(), registrations()), (1, (0, 0)));
    });
}

/// A reader of a descriptor that was closed, whose end does what the given function does with the next
/// descriptor of that number; and that. The number may be another's: then `None`.
fn closed_under(end: impl FnOnce(&LoopHandle, &UnixStream) + 'static) -> Option<Rc<UnixStream>> {
    use std::os::fd::AsRawFd;
    let (handle, (former, _b)) = (handle(), pair());
    let next = Rc::<RefCell<Option<Rc<UnixStream>>>>::default();
    let guard = OnDrop({
        let (handle, next, mut end) = (handle.clone(), next.clone(), Some(end));
        move || {
            if let (Some(end), Some(next)) = (end.take(), next.borrow().clone()) {
                end(&handle, &next);
            }
        }
    });
    handle.add_reader(&former, holds(guard)).unwrap();
    let number = former.as_raw_fd();
    drop(former);
    let (a, b) = UnixStream::pair().unwrap();
    let found = Rc::new([a, b].into_iter().find(|stream| stream.as_raw_fd() == number)?);
    *next.borrow_mut() = Some(found.clone());
    Some(found)
}

/// Runs a test until the number that it needs was free: another test may have been faster.
fn with_luck(test: impl AsyncFn() -> Option<()>) {
    crate::support::on_every_kind(|builder| {
        let lucky = (0..1000).any(|_| {
            let mut event_loop = builder.clone().build().unwrap();
            event_loop.run_until_complete(in_time(test())).unwrap().is_some()
        });
        assert!(lucky, "the number was always taken");
    });
}

#[test]
fn the_end_of_a_closed_ones_callback_may_use_the_next_descriptor_of_its_number() {
    with_luck(async || {
        let a = closed_under(|handle, a| {
            handle.add_writer(a, || ()).unwrap();
            assert!(handle.remove_writer(a));
        })?;
        let calls = Calls::default();
        handle().add_writer(&*a, calls.counter()).unwrap();
        assert!(!calls.is_dropped(), "it was added after all that");
        assert!(calls.now().await > 0);
        assert!(handle().remove_writer(&*a));
        assert_eq!(registrations(), (0, 0));
        Some(())
    });
}

#[test]
fn the_drop_of_a_callback_that_panics_is_reported_and_the_change_is_made() {
    on_every_loop(|| async {
        let ((a, _b), reports, calls) = (readable_pair(), reports(), Calls::default());
        let fails = || holds(OnDrop(|| fail("when dropped")));
        handle().add_reader(&*a, fails()).unwrap();
        handle().add_reader(&*a, calls.counter()).unwrap();
        assert_eq!(reports.take(), ["a callback panicked when it was dropped: when dropped"]);
        assert!(calls.now().await > 0);
        handle().add_reader(&*a, fails()).unwrap();
        assert!(handle().remove_reader(&*a));
        assert_eq!(reports.take(), ["a callback panicked when it was dropped: when dropped"]);
        assert_eq!(registrations(), (0, 0));
    });
}

#[test]
fn the_end_of_a_closed_ones_callback_may_panic() {
    with_luck(async || {
        let reports = reports();
        let a = closed_under(|_, _| fail("when dropped"))?;
        let calls = Calls::default();
        handle().add_writer(&*a, calls.counter()).unwrap();
        assert_eq!(reports.take(), ["a callback panicked when it was dropped: when dropped"]);
        assert!(calls.now().await > 0);
        assert!(handle().remove_writer(&*a));
        assert_eq!(registrations(), (0, 0));
        Some(())
    });
}
