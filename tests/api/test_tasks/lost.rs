//! The tests of `BaseTaskTests` about tasks and errors that nobody looks at.

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{all_tasks, create_task, sleep};

use crate::support::{Log, forever_with, reports, reports_of, virtual_loop};

#[test]
fn test_log_destroyed_pending_task() {
    let mut event_loop = virtual_loop();
    let reports = reports_of(&event_loop.handle());
    let log = Log::new();
    let (ended, pending) = (log.clone(), forever_with(log.on_drop("dropped with its loop")));
    event_loop
        .run_until_complete(async move {
            // asyncio knows tasks weakly: without a handle they may go at any garbage collection.
            create_task(async move {
                sleep(secs(5)).await;
                ended.push("ended");
            })
            .detach();
            create_task(pending).detach();
            assert_eq!(all_tasks().len(), 3, "without a handle they are there");
            sleep(secs(5)).await;
        })
        .unwrap();
    event_loop.run_once(Some(secs(0))).unwrap();
    assert_eq!(log.take(), ["ended"]);
    drop(event_loop);
    assert_eq!(log.take(), ["dropped with its loop"]);
    assert!(reports.is_empty(), "who drops the loop means it");
}

#[evloop::test]
async fn test_tb_logger_not_called_after_cancel() {
    let reports = reports();
    let task = create_task(async { panic!("unread") });
    settle().await;
    assert!(!task.cancel(), "too late");
    drop(task);
    assert_eq!(reports.take(), ["unread"], "asyncio drops it silently");
}
