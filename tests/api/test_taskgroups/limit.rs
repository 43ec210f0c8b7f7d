//! Groups that run no more than so many tasks at once.

use std::cell::Cell;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{TaskGroup, now, sleep, yield_now};

use super::{Error, errors};
use crate::support::Log;

#[evloop::test(order = "fifo")]
async fn no_more_than_the_limit_run_at_once_and_they_begin_in_order() {
    let (log, start) = (Log::new(), now());
    let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    TaskGroup::builder()
        .limit(3)
        .scope(async |tg| {
            for n in 0..10 {
                let (log, running, most) = (log.clone(), running.clone(), most.clone());
                let _ = tg.create_task(async move {
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    log.push(n.to_string());
                    sleep(secs(1)).await;
                    running.set(running.get() - 1);
                });
            }
            assert_eq!(tg.len(), 10);
        })
        .await;
    assert_eq!((most.get(), now() - start), (3, secs(4)));
    assert_eq!(log.take(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[evloop::test]
async fn a_task_cancelled_in_line_never_begins_and_keeps_no_slot() {
    let log = Log::new();
    TaskGroup::builder()
        .limit(1)
        .scope(async |tg| {
            let _ = tg.create_task(sleep(secs(1)));
            let held = log.on_drop("dropped unpolled");
            let second = tg.create_task(async move {
                drop(held);
                unreachable!("it never began")
            });
            let third = log.clone();
            let _ = tg.create_task(async move { third.push("third") });
            yield_now().await;
            second.unwrap().cancel();
        })
        .await;
    assert_eq!(log.take(), ["dropped unpolled", "third"]);
}

#[evloop::test]
async fn a_failure_ends_those_in_line_too() {
    let start = now();
    let ended = TaskGroup::builder().limit(2).try_scope::<(), _>(async |tg| {
        for n in 0..100 {
            let _ = tg.create_task(async move {
                sleep(secs(1)).await;
                if n == 3 { Err(Error::Value) } else { Ok(()) }
            });
        }
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::Value]);
    assert_eq!(now() - start, secs(2));
}

#[evloop::test]
async fn a_body_may_wait_for_room() {
    let start = now();
    TaskGroup::builder()
        .limit(2)
        .scope(async |tg| {
            for _ in 0..6 {
                tg.wait_for_room().await;
                let _ = tg.create_task(sleep(secs(1)));
                assert!(tg.len() <= 2);
            }
            assert_eq!(now() - start, secs(2));
        })
        .await;
    assert_eq!(now() - start, secs(3));
}

#[evloop::test]
async fn without_a_limit_there_is_always_room() {
    TaskGroup::scope(async |tg| {
        let _ = tg.create_task(sleep(secs(1)));
        let before = crate::support::tick();
        tg.wait_for_room().await;
        assert_eq!(crate::support::tick(), before);
    })
    .await;
}

#[evloop::test]
async fn a_limit_of_zero_is_one() {
    let start = now();
    TaskGroup::builder()
        .limit(0)
        .scope(async |tg| {
            for _ in 0..2 {
                let _ = tg.create_task(async { sleep(secs(1)).await });
            }
        })
        .await;
    assert_eq!(now() - start, secs(2));
}

#[evloop::test]
async fn a_task_that_is_created_later_does_not_overtake_one_in_line() {
    let log = Log::new();
    TaskGroup::builder()
        .limit(1)
        .scope(async |tg| {
            for name in ["first", "second"] {
                let log = log.clone();
                let _ = tg.create_task(async move { log.push(name) });
            }
            // The first has ended, and the second has not had a step since.
            yield_now().await;
            let log = log.clone();
            let _ = tg.create_task(async move { log.push("third") });
        })
        .await;
    assert_eq!(log.take(), ["first", "second", "third"]);
}

#[evloop::test]
async fn one_who_gives_up_waiting_for_room_leaves_it_to_the_next() {
    TaskGroup::builder()
        .limit(1)
        .scope(async |tg| {
            let _ = tg.create_task(async { sleep(secs(1)).await });
            let (first, second) = (tg.clone(), tg.clone());
            let first = evloop::create_task(async move { first.wait_for_room().await });
            let second = evloop::create_task(async move {
                second.wait_for_room().await;
                now()
            });
            let start = now();
            sleep(secs(1)).await;
            // The slot is the first one's now, who has not had a step yet.
            first.cancel();
            assert_eq!(second.await.unwrap() - start, secs(1));
        })
        .await;
}
