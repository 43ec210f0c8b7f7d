//! Futures and outputs of every size and alignment: a task's memory holds them in one block, used again
//! for other tasks later.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use evloop::{create_task, yield_now};

use crate::support::{Log, yields};

/// Keeps a block of `N` bytes, full of one value, across suspensions, and returns it.
async fn block<const N: usize>(fill: u8) -> [u8; N] {
    let bytes = [fill; N];
    yields(usize::from(fill % 4)).await;
    assert!(bytes.iter().all(|&byte| byte == fill));
    bytes
}

#[evloop::test]
async fn futures_of_all_sizes_share_the_loops_memory() {
    // Rounds of creation and end in different orders, so that blocks change hands.
    for fill in 0..40_u8 {
        let small = [(); 3].map(|()| create_task(block::<1>(fill)));
        let middle = create_task(block::<100>(fill.wrapping_add(1)));
        let large = create_task(block::<480>(fill.wrapping_add(2)));
        let beyond = create_task(block::<600>(fill.wrapping_add(3)));
        let huge = create_task(block::<100_000>(fill.wrapping_add(4)));
        yield_now().await;
        let cancelled = fill % 3 == 0 && large.cancel();
        assert_eq!(beyond.await.unwrap()[599], fill.wrapping_add(3));
        for task in small {
            assert_eq!(task.await.unwrap(), [fill]);
        }
        match large.await {
            Ok(bytes) => assert!(!cancelled && bytes == [fill.wrapping_add(2); 480]),
            Err(error) => assert!(cancelled && error.is_cancelled()),
        }
        middle.detach();
        assert_eq!(huge.await.unwrap()[99_999], fill.wrapping_add(4));
    }
}

/// A value that must stand at a multiple of 256.
#[repr(align(256))]
#[derive(Clone, Copy)]
struct Aligned(u8);

fn is_aligned(value: &Aligned) -> bool {
    std::ptr::from_ref(value).addr().is_multiple_of(256)
}

#[evloop::test]
async fn futures_and_outputs_are_aligned_as_they_must_be() {
    for n in 0..50 {
        let value = Aligned(n);
        let task = create_task(async move {
            let kept = value;
            yield_now().await;
            assert!(is_aligned(&kept));
            yield_now().await;
            kept
        });
        if n % 2 == 0 {
            yields(4).await;
            let output = task.result().unwrap().unwrap();
            assert!(is_aligned(output) && output.0 == n);
        } else {
            assert_eq!(task.await.unwrap().0, n);
        }
    }
}

#[evloop::test]
async fn futures_and_outputs_of_no_size_are_tasks_like_others() {
    struct Nothing;
    impl Future for Nothing {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    for _ in 0..10 {
        create_task(Nothing).await.unwrap();
    }
    let never = create_task(std::future::pending::<std::convert::Infallible>());
    never.cancel();
    assert!(never.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn a_future_stays_where_it_was_pinned() {
    let places = Rc::new(Cell::new((0_usize, 0_usize)));
    let task = create_task({
        let places = places.clone();
        async move {
            let local = 7_u8;
            let place = std::ptr::from_ref(&local).addr();
            // Others are made and end meanwhile.
            yields(5).await;
            places.set((place, std::ptr::from_ref(&local).addr()));
        }
    });
    for n in 0..5 {
        create_task(block::<64>(n)).detach();
        yield_now().await;
    }
    task.await.unwrap();
    let (before, after) = places.get();
    assert_eq!(before, after);
    assert_ne!(before, 0);
}

#[evloop::test]
async fn a_future_is_dropped_before_its_output_is_seen() {
    struct Owner {
        log: Log,
        output: Option<crate::support::LogsItsDrop>,
    }
    impl Future for Owner {
        type Output = crate::support::LogsItsDrop;
        fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(self.output.take().unwrap())
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            self.log.push("future dropped");
        }
    }
    let log = Log::new();
    let task = create_task(Owner { log: log.clone(), output: Some(log.on_drop("output dropped")) });
    let Ok(output) = task.await else { panic!("it has a value") };
    log.push("awaited");
    drop(output);
    assert_eq!(log.take(), ["future dropped", "awaited", "output dropped"]);
}

#[evloop::test]
async fn a_finished_future_is_not_polled_again() {
    let polls = Rc::new(Cell::new(0));
    let wakers = Rc::new(std::cell::RefCell::new(Vec::new()));
    let task = create_task({
        let (polls, wakers) = (polls.clone(), wakers.clone());
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            wakers.borrow_mut().push(cx.waker().clone());
            // It wakes itself and is ready all the same.
            cx.waker().wake_by_ref();
            Poll::Ready(())
        })
    });
    yields(2).await;
    wakers.borrow().iter().for_each(|waker| waker.wake_by_ref());
    yields(2).await;
    assert!(task.done());
    assert_eq!(polls.get(), 1);
}
