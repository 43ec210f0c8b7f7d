//! `AtHome`: state that stays while its owner is carried about.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::thread;

use evloop::{AtHome, NotAtHome, create_task, get_running_loop, to_thread, yield_now};

use crate::support::{Log, OnDrop, panic_of, reports, virtual_loop};

/// What a framework for several threads asks for.
fn for_any_thread<T: Send + Sync + 'static>(value: T) -> T {
    value
}

#[evloop::test]
async fn it_is_used_at_home() {
    let list = Rc::new(RefCell::new(vec![1]));
    let at_home = for_any_thread(AtHome::new(list.clone()));
    at_home.with(|list| list.borrow_mut().push(2));
    // One use inside of another.
    let sum = at_home.with(|list| at_home.with(|again| list.borrow().len() + again.borrow().len()));
    assert_eq!((sum, format!("{at_home:?}").as_str()), (4, "AtHome(RefCell { value: [1, 2] })"));
    assert!(Rc::ptr_eq(&at_home.into_inner(), &list));
    assert_eq!(Rc::strong_count(&list), 1);
}

#[evloop::test]
async fn elsewhere_it_says_where_it_is_at_home() {
    let at_home = AtHome::new(Rc::new(5));
    let at_home = to_thread(move || {
        let error: NotAtHome = at_home.try_with(|_| unreachable!()).unwrap_err();
        let text = panic_of(|| at_home.with(|_| ()));
        assert!(text.contains("is at home in loop ") && text.contains("on the thread"), "{text}");
        assert_eq!(error.to_string(), text);
        assert!(format!("{at_home:?}").starts_with("AtHome(in loop "));
        at_home
    })
    .await;
    assert_eq!(at_home.with(|five| **five), 5, "and nothing has happened to it");
}

#[evloop::test]
async fn dropped_at_home_it_goes_at_once() {
    let log = Log::new();
    drop(AtHome::new(log.on_drop("value")));
    assert_eq!(log.take(), ["value"]);
    let keeps = AtHome::new(());
    let first = AtHome::new(log.on_drop("first"));
    let second = AtHome::new(log.on_drop("second"));
    drop(second);
    drop(first);
    assert_eq!(log.take(), ["second", "first"]);
    keeps.with(|()| ());
}

#[evloop::test]
async fn dropped_abroad_it_goes_at_home() {
    let place = Rc::new(Cell::new(None));
    let sets = place.clone();
    let at_home = AtHome::new(OnDrop::new(move || sets.set(Some(thread::current().id()))));
    to_thread(move || drop(at_home)).await;
    yield_now().await;
    assert_eq!(place.get(), Some(thread::current().id()));
    // Taken out abroad: a panic there, and the value goes home all the same.
    place.set(None);
    let sets = place.clone();
    let at_home = AtHome::new(OnDrop::new(move || sets.set(Some(thread::current().id()))));
    let text = to_thread(move || panic_of(|| drop(at_home.into_inner()))).await;
    yield_now().await;
    assert!(text.contains("at home"), "{text}");
    assert_eq!(place.get(), Some(thread::current().id()));
}

#[test]
fn a_loop_that_ends_drops_what_is_at_home_in_it() {
    let (log, kept) = (Log::new(), RefCell::new(Vec::new()));
    let mut event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            kept.borrow_mut().push(AtHome::new(log.on_drop("one")));
            kept.borrow_mut().push(AtHome::new(log.on_drop("two")));
        })
        .unwrap();
    assert!(kept.borrow()[0].try_with(|_| ()).is_err(), "between turns nobody is inside of the loop");
    drop(event_loop);
    assert_eq!(log.take(), ["one", "two"]);
    // Another loop of this thread is not their home.
    virtual_loop()
        .run_until_complete(async {
            let another = AtHome::new(log.on_drop("three"));
            assert!(kept.borrow()[0].try_with(|_| ()).is_err());
            kept.borrow_mut().clear();
            another.with(|_| ());
        })
        .unwrap();
    assert_eq!(log.take(), ["three"]);
}

#[test]
fn destructors_may_do_anything() {
    // One value owns another one; one of them panics, which is told to standard error: the loop's handler has gone before.
    let mut event_loop = virtual_loop();
    let log = Log::new();
    let owners = event_loop
        .run_until_complete(async {
            let inner = AtHome::new(log.on_drop("inner"));
            let panics = AtHome::new(OnDrop::new(|| panic!("in its destructor")));
            let outer = AtHome::new((inner, log.on_drop("outer")));
            panics.with(|_| ());
            (outer, panics)
        })
        .unwrap();
    drop(event_loop);
    drop(owners);
    let mut dropped = log.take();
    dropped.sort();
    assert_eq!(dropped, ["inner", "outer"]);
}

#[test]
fn a_value_of_a_loop_that_ends_is_no_other_one() {
    let mut event_loop = virtual_loop();
    let (first, late) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let (see, leaves, seen) = (first.clone(), late.clone(), Rc::new(Cell::new(None)));
    let looks = OnDrop::new({
        let seen = seen.clone();
        move || {
            // The first place is free again, and is this one's.
            let late = AtHome::new(2);
            let first: AtHome<i32> = see.take().unwrap();
            seen.set(Some(first.try_with(|value| *value).is_ok()));
            drop(first);
            late.with(|value| assert_eq!(*value, 2));
            leaves.set(Some(late));
        }
    });
    let looks = event_loop
        .run_until_complete(async {
            first.set(Some(AtHome::new(1)));
            AtHome::new(looks)
        })
        .unwrap();
    drop(event_loop);
    assert_eq!(seen.get(), Some(false));
    assert!(late.take().unwrap().try_with(|_| ()).is_err());
    drop(looks);
}

#[evloop::test]
async fn a_future_is_polled_at_home() {
    let count = Rc::new(Cell::new(0));
    let counts = count.clone();
    let future: Pin<Box<dyn Future<Output = Rc<Cell<u32>>>>> = Box::pin(async move {
        yield_now().await;
        counts.set(counts.get() + 1);
        counts
    });
    let travels = for_any_thread(AtHome::new(future));
    // The future that polls it is `Send`, as a framework wants it.
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    let wrapped = is_send(async move {
        let mut travels = travels;
        let result = (&mut travels).await;
        result.set(result.get() + 10);
    });
    create_task(wrapped).await.unwrap();
    assert_eq!(count.get(), 11);
}

#[evloop::test]
async fn a_future_that_panics_is_put_back_and_dropped() {
    let log = Log::new();
    let reported = reports();
    let owned = log.on_drop("owned");
    let panics = AtHome::new(Box::pin(async move {
        let _owned = owned;
        yield_now().await;
        panic!("in its poll")
    }));
    let task = create_task(async move {
        let () = panics.await;
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(log.take(), ["owned"]);
    assert!(reported.is_empty());
    let elsewhere = AtHome::new(Box::pin(async {}));
    let text = to_thread(move || panic_of(|| evloop::run(elsewhere))).await;
    assert!(text.contains("is at home in loop"), "{text}");
}

#[test]
fn it_needs_a_loop() {
    let text = panic_of(|| drop(AtHome::new(())));
    assert!(text.contains("inside of evloop::run"), "{text}");
    assert!(get_running_loop().is_err());
}
