//! `EventTests`.

use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Event, Task, create_task, yield_now};

use super::{cancelled_soon, number};
use crate::support::{Log, tick};

fn waiter(event: &Rc<Event>, log: &Log, name: &'static str) -> Task<()> {
    let (event, log) = (event.clone(), log.clone());
    create_task(async move {
        event.wait().await;
        log.push(name);
    })
}

#[evloop::test(order = "fifo")]
async fn test_wait() {
    let (event, log) = (Rc::new(Event::new()), Log::new());
    assert!(!event.is_set());
    let first = waiter(&event, &log, "1");
    let second = waiter(&event, &log, "2");
    yield_now().await;
    assert!(log.is_empty());

    let third = waiter(&event, &log, "3");
    event.set();
    assert!(log.is_empty(), "nobody runs inside of set()");
    yield_now().await;
    assert_eq!(log.take(), ["3", "1", "2"]);
    assert!(first.done() && second.done() && third.done());
}

#[evloop::test]
async fn test_wait_on_set() {
    let event = Event::new();
    event.set();
    let iteration = tick();
    event.wait().await;
    assert_eq!(tick(), iteration);
}

#[evloop::test]
async fn test_wait_cancel() {
    let event = Rc::new(Event::new());
    let ours = event.clone();
    cancelled_soon(async move { ours.wait().await }).await;
    assert_eq!(number(&event, "waiters"), 0);
    assert!(!event.is_set());
}

#[evloop::test]
async fn test_clear() {
    let event = Event::new();
    assert!(!event.is_set());
    event.set();
    assert!(event.is_set());
    event.clear();
    assert!(!event.is_set());
}

#[evloop::test]
async fn test_clear_with_waiters() {
    let (event, log) = (Rc::new(Event::new()), Log::new());
    let task = waiter(&event, &log, "1");
    settle().await;
    assert_eq!(number(&event, "waiters"), 1);
    event.set();
    event.clear();
    assert!(!event.is_set());
    event.set();
    event.set();
    assert!(log.is_empty());
    event.clear();
    settle().await;
    assert_eq!(log.take(), ["1"], "woken once, and the flag does not matter any more");
    assert_eq!(number(&event, "waiters"), 0);
    assert!(task.done());
}
