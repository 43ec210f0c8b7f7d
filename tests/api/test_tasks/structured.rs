//! `test_uncancel_structured_blocks`: a time limit that a user builds from `cancel` and `uncancel`, as
//! asyncio's documentation shows it. In both outcomes the count is 0 afterwards.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{call_later, catch_cancel, create_task, current_task, sleep};

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    timed_out: bool,
    block_finished: bool,
    went_on: bool,
}

/// The structured block sleeps for `work`; the code after it is not affected by the limit.
async fn request_with_limit(work: Duration, limit: Duration) -> Outcome {
    let task = current_task().unwrap();
    let timed_out = Rc::new(Cell::new(false));
    let timer = call_later(limit, {
        let (task, timed_out) = (task.clone(), timed_out.clone());
        move || {
            timed_out.set(true);
            task.cancel();
        }
    });
    let block_finished = match catch_cancel(sleep(work)).await {
        Ok(()) => true,
        Err(cancellation) => {
            if timed_out.get() && task.uncancel() == 0 {
                cancellation.swallow();
            } else {
                cancellation.rethrow().await
            }
            false
        }
    };
    timer.cancel();
    sleep(Duration::ZERO).await;
    Outcome { timed_out: timed_out.get(), block_finished, went_on: true }
}

#[evloop::test]
async fn test_uncancel_structured_blocks() {
    let late = create_task(request_with_limit(secs(10), millis(100)));
    let expected = Outcome { timed_out: true, block_finished: false, went_on: true };
    assert_eq!(create_and_count(late).await, (Ok(expected), 0));

    let in_time = create_task(request_with_limit(millis(100), secs(10)));
    let expected = Outcome { timed_out: false, block_finished: true, went_on: true };
    assert_eq!(create_and_count(in_time).await, (Ok(expected), 0));

    // Cancelled from outside: not the block's business.
    let cancelled = create_task(request_with_limit(secs(10), secs(5)));
    let task_ref = cancelled.task_ref();
    call_later(secs(1), move || assert!(task_ref.cancel()));
    assert_eq!(create_and_count(cancelled).await, (Err(()), 1));

    // Both in one iteration: the outer request stays.
    let both = create_task(request_with_limit(secs(10), secs(5)));
    evloop::yield_now().await;
    let task_ref = both.task_ref();
    call_later(secs(5), move || assert!(task_ref.cancel()));
    assert_eq!(create_and_count(both).await, (Err(()), 1));
}

async fn create_and_count(task: evloop::Task<Outcome>) -> (Result<Outcome, ()>, u32) {
    let task_ref = task.task_ref();
    let ended = task.await.map_err(|error| assert!(error.is_cancelled()));
    (ended, task_ref.cancelling())
}
