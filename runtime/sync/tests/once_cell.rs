//! `OnceCell`: one makes the value, the others wait; and what becomes of it if nothing comes of that.

use super::{Count, HandLoop, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{OnceCell, Promise};
use std::future::{pending, ready};
use std::rc::Rc;
use std::task::{Poll, Waker};

#[test]
fn the_first_makes_it_and_the_others_wait_in_order() {
    let trace = HandLoop::trace(async |ev| {
        let cell = Rc::new(OnceCell::new());
        for name in ["a", "b", "c"] {
            let (ev, cell) = (ev.clone(), cell.clone());
            ev.clone().spawn(async move {
                let init = async || {
                    ev.log(format!("{name} makes it"));
                    ev.yield_now().await;
                    name
                };
                let value = cell.get_or_init(init).await;
                ev.log(format!("{name} has {value}"));
            });
        }
    });
    assert_eq!(trace, "2:a makes it | 3:a has a | 4:b has a | 4:c has a");
}

#[test]
fn if_it_fails_the_next_in_line_makes_it() {
    let trace = HandLoop::trace(async |ev| {
        let cell = Rc::new(OnceCell::new());
        for name in ["a", "b", "c"] {
            let (ev, cell) = (ev.clone(), cell.clone());
            ev.clone().spawn(async move {
                let init = async || {
                    ev.yield_now().await;
                    if name == "a" { Err("failed") } else { Ok(name) }
                };
                let value = cell.get_or_try_init(init).await;
                ev.log(format!("{name}: {value:?}"));
            });
        }
    });
    assert_eq!(trace, r#"3:a: Err("failed") | 5:b: Ok("b") | 6:c: Ok("b")"#);
}

#[test]
fn whoever_is_dropped_gives_the_turn_to_the_next() {
    let cell = OnceCell::new();
    let counted = [(); 2].map(|()| Count::pair());
    let mut first = Box::pin(cell.get_or_init(async || pending::<u8>().await));
    let mut second = Box::pin(cell.get_or_init(async || unreachable!("it is dropped before")));
    let mut third = Box::pin(cell.get_or_init(async || 3));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, &counted[0].1).is_pending());
    assert!(poll(&mut third, &counted[1].1).is_pending());
    drop(first); // makes it
    assert_eq!((counted[0].0.get(), counted[1].0.get()), (1, 0));
    drop(second); // was called
    assert_eq!(counted[1].0.get(), 1);
    assert_eq!(poll(&mut third, Waker::noop()), Poll::Ready(&3));
}

#[test]
fn a_panic_gives_the_turn_to_the_next() {
    let cell = OnceCell::new();
    let (count, waker) = Count::pair();
    let gate = Promise::new();
    let opened = gate.clone();
    let mut first = Box::pin(cell.get_or_init(async move || {
        opened.await.unwrap();
        panic!("a foreign waker")
    }));
    let mut second = Box::pin(cell.get_or_init(async || 2));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    gate.set_result(()).unwrap();
    assert!(a_waker_panics_in(|| _ = poll(&mut first, Waker::noop())));
    assert_eq!(count.get(), 1);
    assert_eq!(poll(&mut second, Waker::noop()), Poll::Ready(&2));
}

#[test]
fn a_value_that_is_set_meanwhile_is_the_value() {
    let cell = OnceCell::new();
    let (count, waker) = Count::pair();
    let gate = Promise::new();
    let opened = gate.clone();
    let mut making = Box::pin(cell.get_or_init(async move || opened.await.unwrap()));
    let mut waiting = Box::pin(cell.get_or_init(async || unreachable!("there is a value")));
    let mut leaving = Box::pin(cell.get_or_init(async || unreachable!("there is a value")));
    assert!(poll(&mut making, Waker::noop()).is_pending());
    assert!(poll(&mut waiting, &panicking_waker()).is_pending());
    assert!(poll(&mut leaving, &waker).is_pending());
    assert!(a_waker_panics_in(|| cell.set(5).unwrap()));
    assert_eq!(count.get(), 1);
    drop(leaving);
    assert_eq!(poll(&mut waiting, Waker::noop()), Poll::Ready(&5));
    gate.set_result(6).unwrap();
    assert_eq!(poll(&mut making, Waker::noop()), Poll::Ready(&5));
    assert_eq!(cell.set(7), Err(7));
    drop((making, waiting));
    assert_eq!(format!("{cell:?}"), "OnceCell { value: Some(5), waiters: 0, .. }");
}

#[test]
fn without_waiting_it_is_a_cell() {
    let mut cell = OnceCell::<String>::default();
    assert!(cell.get().is_none() && cell.get_mut().is_none());
    let mut made = Box::pin(cell.get_or_try_init(|| ready(Err::<String, u8>(1))));
    assert_eq!(poll(&mut made, Waker::noop()), Poll::Ready(Err(1)));
    drop(made);
    let mut made = Box::pin(cell.get_or_init(async || "made".to_owned()));
    assert!(poll(&mut made, Waker::noop()).is_ready());
    drop(made);
    cell.get_mut().unwrap().push('!');
    assert_eq!(cell.get().map(String::as_str), Some("made!"));
    assert_eq!(cell.take().as_deref(), Some("made!"));
    assert!(cell.get().is_none() && cell.take().is_none());
    let mut again = Box::pin(cell.get_or_init(async || "again".to_owned()));
    assert!(poll(&mut again, Waker::noop()).is_ready());
    drop(again);
    assert_eq!(cell.into_inner().as_deref(), Some("again"));
    let there = OnceCell::from(1);
    assert_eq!((there.get(), there.stats().is_set), (Some(&1), true));
}
