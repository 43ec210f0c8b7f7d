//! `RwLock`: who enters with whom, and in which order.

use super::{Count, HandLoop, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WouldWait};
use std::rc::Rc;
use std::task::{Poll, Waker};

#[test]
fn readers_enter_together_and_none_passes_a_writer() {
    let trace = HandLoop::trace(async |ev| {
        let lock = Rc::new(RwLock::new(()));
        for name in ["R1", "R2", "W1", "R3", "R4", "W2", "R5"] {
            let (ev, lock) = (ev.clone(), lock.clone());
            ev.clone().spawn(async move {
                if name.starts_with('R') {
                    let _guard = lock.read().await;
                    ev.log(name);
                    ev.yield_now().await;
                } else {
                    let _guard = lock.write().await;
                    ev.log(name);
                    ev.yield_now().await;
                }
            });
        }
    });
    assert_eq!(trace, "2:R1 | 2:R2 | 4:W1 | 6:R3 | 6:R4 | 8:W2 | 10:R5");
}

#[test]
fn a_newcomer_waits_behind_a_waiting_writer_and_enters_when_that_gives_up() {
    let lock = RwLock::new(());
    let (count, waker) = Count::pair();
    let reading = lock.read_nowait().unwrap();
    let mut write = Box::pin(lock.write());
    let mut read = Box::pin(lock.read());
    assert!(poll(&mut write, Waker::noop()).is_pending());
    assert_eq!(lock.read_nowait().unwrap_err(), WouldWait);
    assert!(poll(&mut read, &waker).is_pending());
    assert!(poll(&mut read, &waker).is_pending(), "a poll in line does not barge");
    drop(write);
    assert_eq!(count.get(), 1, "nothing keeps it out any more");
    drop(reading);
    assert!(lock.write_nowait().is_err(), "who was called is in, though it has not run");
    let Poll::Ready(reading) = poll(&mut read, &waker) else { panic!("called") };
    assert!(lock.write_nowait().is_err());
    drop(reading);
    assert!(lock.write_nowait().is_ok());
}

#[test]
fn a_called_one_that_gives_up_calls_the_next() {
    let lock = RwLock::new(());
    let counted = [(); 4].map(|()| Count::pair());
    let counts = || counted.iter().map(|(count, _)| count.get()).collect::<Vec<_>>();
    let writing = lock.write_nowait().unwrap();
    let (mut first, mut second) = (Box::pin(lock.write()), Box::pin(lock.read()));
    let (mut third, mut fourth) = (Box::pin(lock.read()), Box::pin(lock.write()));
    assert!(poll(&mut first, &counted[0].1).is_pending());
    assert!(poll(&mut second, &counted[1].1).is_pending());
    assert!(poll(&mut third, &counted[2].1).is_pending());
    assert!(poll(&mut fourth, &counted[3].1).is_pending());
    drop(writing);
    assert_eq!(counts(), [1, 0, 0, 0]);
    assert!(lock.stats().write_locked, "it has been promised");
    assert!(lock.read_nowait().is_err() && lock.write_nowait().is_err());
    drop(first);
    assert_eq!(counts(), [1, 1, 1, 0]);
    drop(second);
    assert_eq!((lock.stats().readers, lock.stats().waiters), (1, 1));
    let Poll::Ready(reading) = poll(&mut third, Waker::noop()) else { panic!("called") };
    drop(reading);
    assert_eq!(counts(), [1, 1, 1, 1]);
    drop(fourth);
    assert!(lock.write_nowait().is_ok(), "the last one gave it back");
    assert_eq!(format!("{lock:?}"), "RwLock { readers: 0, write_locked: false, waiters: 0, .. }");
}

#[test]
fn a_downgrade_lets_the_next_readers_in_and_no_writer() {
    let lock = RwLock::new(1);
    let ((readers, waker), (writers, other)) = (Count::pair(), Count::pair());
    let mut guard = lock.write_nowait().unwrap();
    let (mut read, mut write) = (Box::pin(lock.read()), Box::pin(lock.write()));
    assert!(poll(&mut read, &waker).is_pending());
    assert!(poll(&mut write, &other).is_pending());
    *guard += 1;
    let guard = RwLockWriteGuard::downgrade(guard);
    assert_eq!((readers.get(), writers.get(), lock.stats().readers), (1, 0, 2));
    let Poll::Ready(second) = poll(&mut read, &waker) else { panic!("called") };
    assert_eq!((*guard, *second), (2, 2));
    drop((guard, second));
    assert_eq!(writers.get(), 1);
    assert!(poll(&mut write, &other).is_ready());
}

#[test]
fn a_waker_that_panics_keeps_no_reader_out() {
    let lock = RwLock::new(());
    let (count, waker) = Count::pair();
    let writing = lock.write_nowait().unwrap();
    let (mut first, mut second) = (Box::pin(lock.read()), Box::pin(lock.read()));
    assert!(poll(&mut first, &panicking_waker()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert!(a_waker_panics_in(|| drop(writing)));
    assert_eq!(count.get(), 1);
    assert!(poll(&mut first, Waker::noop()).is_ready() && poll(&mut second, Waker::noop()).is_ready());
    drop((first, second));
    assert!(lock.write_nowait().is_ok());
}

#[test]
fn guards_lead_to_the_value() {
    let mut lock = RwLock::new(vec![1]);
    lock.write_nowait().unwrap().push(2);
    let (one, two) = (lock.read_nowait().unwrap(), lock.read_nowait().unwrap());
    assert_eq!(format!("{one:?} {}", two.len()), "RwLockReadGuard([1, 2]) 2");
    drop((one, two));
    assert_eq!(format!("{:?}", lock.write_nowait().unwrap()), "RwLockWriteGuard([1, 2])");
    lock.get_mut().push(3);
    assert_eq!(lock.into_inner(), [1, 2, 3]);
    let unsized_one: Rc<RwLock<[u8]>> = Rc::new(RwLock::new([1, 2]));
    unsized_one.write_nowait().unwrap()[0] = 9;
    assert_eq!(unsized_one.read_nowait().unwrap()[..], [9, 2]);
}

#[test]
fn guards_of_a_part_are_in_until_they_are_dropped() {
    let lock = RwLock::from(([1, 2], "rest"));
    let (count, waker) = Count::pair();
    let (one, other) = (lock.read_nowait().unwrap(), lock.read_nowait().unwrap());
    let mut write = Box::pin(lock.write());
    assert!(poll(&mut write, &waker).is_pending());
    let part = RwLockReadGuard::map(one, |value| &value.1);
    let letters = RwLockReadGuard::map(part, |text| text.as_bytes());
    drop(other);
    assert_eq!((letters.len(), lock.stats().readers, count.get()), (4, 1, 0));
    drop(letters);
    assert_eq!((lock.stats().readers, count.get()), (0, 1));
    let Poll::Ready(guard) = poll(&mut write, &waker) else { panic!("called") };
    let numbers = RwLockWriteGuard::map(guard, |value| &mut value.0[..]);
    assert_eq!(format!("{numbers:?}"), "MappedRwLockWriteGuard([1, 2])");
    let mut second = MappedRwLockWriteGuard::map(numbers, |numbers| &mut numbers[1]);
    *second += *second;
    assert!(lock.read_nowait().is_err());
    drop(second);
    assert_eq!(lock.read_nowait().unwrap().0, [1, 4]);
}

#[test]
fn a_guard_whose_part_is_not_found_is_dropped() {
    let lock = RwLock::new([1, 2]);
    let panics = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    assert!(panics(&|| drop(RwLockReadGuard::map::<u8>(lock.read_nowait().unwrap(), |_| panic!("none")))));
    assert!(panics(&|| {
        let guard = RwLockWriteGuard::map(lock.write_nowait().unwrap(), |numbers| &mut numbers[..]);
        drop(MappedRwLockWriteGuard::map(guard, |numbers| &mut numbers[2]));
    }));
    assert_eq!(*lock.write_nowait().unwrap(), [1, 2]);
}
