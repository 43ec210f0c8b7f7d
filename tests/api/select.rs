//! `select`: the first value, and the other futures unharmed.

use std::cell::Cell;
use std::future::{Ready, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use evloop::time::secs;
use evloop::{catch_cancel, create_task, finally, now, select, sleep, yield_now};
use futures::FutureExt;
use futures::future::pending;

use crate::support::{Log, panic_of, text};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn after<'a, T: 'a>(n: u64, value: T) -> Boxed<'a, T> {
    Box::pin(async move {
        sleep(secs(n)).await;
        value
    })
}

#[evloop::test]
async fn it_gives_the_first_value_its_index_and_the_others_in_their_order() {
    let start = now();
    let (value, index, rest) = select([after(4, 'a'), after(1, 'b'), after(3, 'c'), after(2, 'd')]).await;
    assert_eq!((value, index, rest.len(), now() - start), ('b', 1, 3, secs(1)));
    let (value, index, rest) = select(rest).await;
    assert_eq!((value, index, rest.len(), now() - start), ('d', 2, 2, secs(2)));
    let (value, index, rest) = select(rest).await;
    assert_eq!((value, index, rest.len(), now() - start), ('c', 1, 1, secs(3)));
    let (value, index, rest) = select(rest).await;
    assert_eq!((value, index, rest.len(), now() - start), ('a', 0, 0, secs(4)));
}

#[evloop::test]
async fn of_those_that_are_ready_the_earliest_is_given_and_those_after_it_are_not_polled() {
    let polls = Cell::new(0);
    let second = poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::Ready("second")
    });
    let futures: [Boxed<'_, &str>; 2] = [Box::pin(ready("first")), Box::pin(second)];
    let (value, index, mut rest) = select(futures).await;
    assert_eq!((value, index, polls.get()), ("first", 0, 0));
    assert_eq!((rest.remove(0).await, polls.get()), ("second", 1));
}

#[evloop::test]
async fn nothing_is_dropped_but_what_has_ended() {
    let log = Log::new();
    let with = |n: u64| -> Boxed<'_, u64> {
        let guard = log.on_drop(format!("{n} dropped"));
        Box::pin(async move {
            let _guard = guard;
            sleep(secs(n)).await;
            n
        })
    };
    let (_, _, rest) = select([with(2), with(1)]).await;
    assert_eq!(log.take(), ["1 dropped"]);
    drop(rest);
    assert_eq!(log.take(), ["2 dropped"]);
}

#[evloop::test]
async fn tasks_are_handed_back_as_futures_of_their_output() {
    let tasks = [create_task(after(2, 2)), create_task(after(1, 1))];
    let (first, index, mut rest) = select(tasks).await;
    assert_eq!((first.unwrap(), index), (1, 1));
    assert_eq!(rest.remove(0).await.unwrap(), 2);
}

#[evloop::test]
async fn pinned_locals_are_selected_by_reference() {
    let (mut slow, mut quick) = (pin!(after(2, "slow")), pin!(after(1, "quick")));
    let (value, index, _) = select([&mut slow, &mut quick]).await;
    assert_eq!((value, index), ("quick", 1));
    assert_eq!(slow.await, "slow");
}

#[evloop::test]
async fn what_is_handed_back_swallows_no_request() {
    let ended = Rc::new(Cell::new(false));
    let task = create_task({
        let ended = ended.clone();
        async move {
            let parked: Boxed<'_, bool> = Box::pin(catch_cancel(pending::<()>()).map(|r| r.is_err()));
            let first: Boxed<'_, bool> = Box::pin(yield_now().map(|()| false));
            let (_, index, rest) = select([parked, first]).await;
            assert_eq!(index, 1);
            // Rest is alive, and not polled.
            sleep(secs(9)).await;
            drop(rest);
            ended.set(true);
        }
    });
    sleep(secs(1)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!ended.get());
}

#[evloop::test]
async fn what_is_handed_back_takes_requests_where_it_is_polled_again() {
    let task = create_task(async {
        let parked: Boxed<'_, bool> = Box::pin(catch_cancel(pending::<()>()).map(|r| r.is_err()));
        let first: Boxed<'_, bool> = Box::pin(yield_now().map(|()| false));
        let (_, _, mut rest) = select([parked, first]).await;
        rest.remove(0).await
    });
    sleep(secs(1)).await;
    task.cancel();
    assert!(task.await.unwrap());
}

#[evloop::test]
async fn a_request_goes_into_all_that_are_waited_for() {
    let (log, start) = (Log::new(), now());
    let tidy = |n: u64| -> Boxed<'static, ()> {
        let log = log.clone();
        Box::pin(finally(pending(), async move {
            sleep(secs(n)).await;
            log.push(format!("{n}"));
        }))
    };
    let task = create_task(select([tidy(2), tidy(3)]).map(|(_, index, _)| index));
    sleep(secs(1)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!((log.take(), now() - start), (vec!["2".to_string(), "3".into()], secs(4)));
}

#[evloop::test]
async fn misuse_panics_with_the_remedy() {
    let message = "select needs at least one future; this would wait for ever";
    assert_eq!(panic_of(|| drop(select(Vec::<Ready<()>>::new()))), message);
    let mut once = select([ready(1)]);
    assert_eq!((&mut once).await.0, 1);
    let again = std::panic::AssertUnwindSafe(once).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*again), "a select was polled after it was ready");
}
