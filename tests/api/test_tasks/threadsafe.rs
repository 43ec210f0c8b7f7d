//! `RunCoroutineThreadsafeTests`, with real threads. What `RemoteTask` promises beyond is in `remote`.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use evloop::time::{millis, secs};
use evloop::{LoopProxy, TaskError, all_tasks, get_running_loop, sleep, to_thread, yield_now};

use crate::support::reports;

async fn add(a: u32, b: u32, fail: bool, cancel: bool) -> u32 {
    sleep(millis(5)).await;
    assert!(!fail, "Fail!");
    if cancel {
        evloop::current_task().unwrap().cancel();
        yield_now().await;
    }
    a + b
}

fn proxy() -> LoopProxy {
    get_running_loop().unwrap().proxy()
}

#[evloop::test(clock = "real")]
async fn test_run_coroutine_threadsafe() {
    let proxy = proxy();
    let sum = to_thread(move || proxy.create_task(|| add(1, 2, false, false)).join()).await;
    assert_eq!(sum.unwrap(), 3);
}

#[evloop::test(clock = "real")]
async fn test_run_coroutine_threadsafe_with_exception() {
    let reports = reports();
    let proxy = proxy();
    let failed = to_thread(move || proxy.create_task(|| add(1, 2, true, false)).join()).await;
    match failed {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "Fail!"),
        other => panic!("{other:?}"),
    }
    assert_eq!(reports.take(), [""; 0], "the thread has heard of it");
}

#[evloop::test(clock = "real")]
async fn test_run_coroutine_threadsafe_with_timeout() {
    let proxy = proxy();
    let gave_up = to_thread(move || {
        let (started, has_started) = mpsc::channel();
        let task = proxy.create_task(move || async move {
            started.send(()).unwrap();
            sleep(secs(3600)).await;
        });
        has_started.recv().unwrap();
        // The thread gives up.
        thread::sleep(Duration::from_millis(1));
        assert!(!task.done());
        task.cancel();
        task.join()
    });
    assert!(gave_up.await.unwrap_err().is_cancelled());
    assert_eq!(all_tasks().len(), 1, "nothing is left of it");
}

#[evloop::test(clock = "real")]
async fn test_run_coroutine_threadsafe_task_cancelled() {
    let proxy = proxy();
    let cancelled = to_thread(move || proxy.create_task(|| add(1, 2, false, true)).join()).await;
    assert!(cancelled.unwrap_err().is_cancelled());
}

#[evloop::test(clock = "real")]
async fn test_run_coroutine_threadsafe_task_factory_exception() {
    let reports = reports();
    let proxy = proxy();
    let failed = to_thread(move || {
        let make = || -> std::future::Ready<u32> { panic!("no future") };
        proxy.create_task(make).join()
    });
    match failed.await {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "no future"),
        other => panic!("{other:?}"),
    }
    assert_eq!(reports.take(), ["no future"], "both sides hear of it");
}
