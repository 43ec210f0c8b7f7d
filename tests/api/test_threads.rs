//! CPython's `test_threads`, and what `to_thread` promises beyond. The threads are real; the clock is the
//! virtual one, which stands still while they work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use evloop::context::Context;
use evloop::time::{millis, secs};
use evloop::{ContextVar, Task, create_task, gather, now, sleep, to_thread, yield_now};

use crate::support::{Log, reports, virtual_loop};

#[evloop::test]
async fn test_to_thread() {
    let (a, b) = (40, 2);
    assert_eq!(to_thread(move || a + b).await, 42);
}

#[evloop::test]
async fn test_to_thread_exception() {
    let failed: Result<u8, String> = to_thread(|| Err(String::from("test"))).await;
    assert_eq!(failed.unwrap_err(), "test");
}

#[evloop::test]
async fn test_to_thread_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    to_thread(move || counter.fetch_add(1, Ordering::SeqCst)).await;
    yield_now().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

static TEST_CTX: ContextVar<&str> = ContextVar::new("test_ctx");

#[evloop::test]
async fn test_to_thread_contextvars() {
    TEST_CTX.set("parrot");
    let get_ctx = || TEST_CTX.get();
    assert_eq!(to_thread(get_ctx).await, Some("parrot"));
    // Ours: what is set there stays there, and the next job on that thread does not find it.
    to_thread(|| drop(TEST_CTX.set("cat"))).await;
    assert_eq!(TEST_CTX.get(), Some("parrot"));
    let without = create_task_without_context(async move { to_thread(get_ctx).await });
    assert_eq!(without.await.unwrap(), None);
}

fn create_task_without_context<F: Future + 'static>(future: F) -> Task<F::Output> {
    Task::builder().context(&Context::new()).spawn(future)
}

#[evloop::test]
async fn test_to_thread_concurrent() {
    let calls = Arc::new(AtomicUsize::new(0));
    let jobs = (0..10).map(|n| {
        let calls = calls.clone();
        to_thread(move || {
            calls.fetch_add(1, Ordering::SeqCst);
            n
        })
    });
    assert_eq!(gather(jobs).await.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(calls.load(Ordering::SeqCst), 10);
}

#[evloop::test]
async fn jobs_run_at_the_same_time() {
    // Each waits for the other: one after the other they would never end.
    let (to_b, from_a) = mpsc::channel();
    let (to_a, from_b) = mpsc::channel();
    let limit = Duration::from_secs(10);
    let a = to_thread(move || {
        to_b.send("from a").unwrap();
        from_b.recv_timeout(limit)
    });
    let b = to_thread(move || {
        to_a.send("from b").unwrap();
        from_a.recv_timeout(limit)
    });
    assert_eq!(gather((a, b)).await.unwrap(), (Ok("from b"), Ok("from a")));
}

#[evloop::test]
async fn a_panic_goes_on_in_the_awaiter_with_its_payload() {
    let task = create_task(to_thread(|| std::panic::panic_any(42_i32)));
    let error = match task.await {
        Err(evloop::TaskError::Panicked(panic)) => panic,
        other => panic!("{other:?}"),
    };
    assert_eq!(*error.into_payload().downcast::<i32>().unwrap(), 42);
    assert_eq!(to_thread(|| 1).await, 1, "the pool has not suffered");
}

#[evloop::test]
async fn the_threads_have_names() {
    let name = to_thread(|| std::thread::current().name().map(str::to_owned)).await;
    assert!(name.unwrap().starts_with("evloop-blocking-"));
}

#[evloop::test]
async fn nothing_is_submitted_before_the_first_poll() {
    let called = Arc::new(AtomicBool::new(false));
    let job = to_thread({
        let called = called.clone();
        move || called.store(true, Ordering::SeqCst)
    });
    assert_eq!(format!("{job:?}"), "ToThread { state: \"idle\" }");
    drop(job);
    to_thread(|| ()).await;
    assert!(!called.load(Ordering::SeqCst));
}

#[evloop::test]
async fn virtual_time_stands_still_while_a_job_runs() {
    let start = now();
    let timer = create_task(async {
        sleep(millis(1)).await;
        now()
    });
    yield_now().await;
    let began = Instant::now();
    let finished = to_thread(|| std::thread::sleep(millis(15))).await;
    assert!(began.elapsed() >= millis(15));
    assert_eq!((finished, now()), ((), start), "fifteen real milliseconds were none");
    assert!(!timer.done());
    assert_eq!(timer.await.unwrap(), start + millis(1));
}

/// Blocks every thread that the pool may have, until `release` is dropped or told.
fn block_all_threads() -> (mpsc::Sender<()>, Vec<evloop::Task<()>>) {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let jobs = (0..40).map(|_| {
        let gate = gate.clone();
        create_task(to_thread(move || {
            let _ = gate.lock().unwrap().recv();
        }))
    });
    (release, jobs.collect())
}

#[evloop::test]
async fn a_function_that_was_not_begun_never_runs() {
    // asyncio's test_wrap_future_cancel: cancelling ours cancels the queued job.
    let (release, blockers) = block_all_threads();
    yield_now().await;
    let called = Arc::new(AtomicBool::new(false));
    let late = create_task(to_thread({
        let called = called.clone();
        move || called.store(true, Ordering::SeqCst)
    }));
    yield_now().await;
    late.cancel();
    assert!(late.await.unwrap_err().is_cancelled());
    drop(release);
    gather(blockers).await.unwrap();
    // Whatever stood in the queue before this has been looked at when this is done.
    to_thread(|| ()).await;
    assert!(!called.load(Ordering::SeqCst));
}

#[evloop::test]
async fn a_function_that_runs_goes_on_and_its_value_is_dropped() {
    let (started, has_started) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (finished, has_finished) = mpsc::channel();
    let job = create_task(to_thread(move || {
        started.send(()).unwrap();
        let _ = may_go_on.recv();
        // Sent when the value is dropped, since nobody wants it.
        SendsOnDrop(finished)
    }));
    to_thread(move || has_started.recv().unwrap()).await;
    job.cancel();
    assert!(job.await.unwrap_err().is_cancelled(), "at once: a running function cannot be stopped");
    drop(go_on);
    assert_eq!(to_thread(move || has_finished.recv()).await, Ok("dropped"));
}

#[derive(Debug)]
struct SendsOnDrop(mpsc::Sender<&'static str>);

impl Drop for SendsOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// The value of an abandoned job, which panics when it is dropped, and says so first.
#[derive(Debug)]
struct PanicsOnDrop(mpsc::Sender<()>);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
        panic!("dropped");
    }
}

#[test]
fn an_abandoned_value_that_panics_when_dropped_does_not_hold_up_the_end_of_the_run() {
    let began = Instant::now();
    evloop::run(async {
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let (dropped, is_dropped) = mpsc::channel();
        let job = create_task(to_thread(move || {
            started.send(()).unwrap();
            let _ = may_go_on.recv();
            PanicsOnDrop(dropped)
        }));
        to_thread(move || has_started.recv().unwrap()).await;
        job.cancel();
        assert!(job.await.is_err());
        drop(go_on);
        to_thread(move || is_dropped.recv().unwrap()).await;
    });
    assert!(began.elapsed() < secs(5), "the job has ended, though badly: {:?}", began.elapsed());
}

/// The function runs until the test lets it end, which it does after the run: were the run to wait for it, both would
/// wait for ever.
#[test]
fn the_end_of_a_run_waits_for_no_function_and_reports_those_that_run() {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (ended, has_ended) = mpsc::channel();
    let said = evloop::run(async move {
        let said = Log::new();
        let sink = said.clone();
        evloop::get_running_loop().unwrap().set_exception_handler(move |context| {
            sink.push(format!("{}: {}", context.message(), context.error().unwrap()));
        });
        let (started, has_started) = mpsc::channel();
        create_task(to_thread(move || {
            started.send(()).unwrap();
            let _ = may_go_on.recv();
            ended.send(()).unwrap();
        }))
        .detach();
        to_thread(move || has_started.recv().unwrap()).await;
        said
    });
    assert_eq!(
        said.take(),
        ["the run is over, and blocking jobs are left behind: 1 function given to to_thread still runs"]
    );
    drop(go_on);
    has_ended.recv_timeout(secs(20)).expect("it was left alone, not killed");
}

/// Its thread may still be busy with its own affairs when the run is over: nobody need know.
#[test]
fn a_function_whose_value_was_awaited_is_over() {
    for _ in 0..200 {
        let said = evloop::run(async {
            let said = Log::new();
            let sink = said.clone();
            evloop::get_running_loop()
                .unwrap()
                .set_exception_handler(move |context| sink.push(context.message()));
            to_thread(|| ()).await;
            said
        });
        assert!(said.is_empty(), "{:?}", said.take());
    }
}

#[test]
fn a_loop_that_is_dropped_drops_what_was_not_begun() {
    let called = Arc::new(AtomicUsize::new(0));
    let (release, entered) = {
        let mut event_loop = virtual_loop();
        let called = called.clone();
        event_loop
            .run_until_complete(async {
                let (release, blockers) = block_all_threads();
                // They are in the queue before the others, in whatever order a batch is run.
                yield_now().await;
                for _ in 0..3 {
                    let called = called.clone();
                    let job = to_thread(move || called.fetch_add(1, Ordering::SeqCst));
                    create_task(job).detach();
                }
                blockers.into_iter().for_each(evloop::Task::detach);
                yield_now().await;
                (release, Arc::strong_count(&called))
            })
            .unwrap()
    };
    assert!(entered > 2, "the jobs were in the queue");
    // The loop is gone, and with it the queue: nobody will call them.
    assert_eq!(Arc::strong_count(&called), 1, "dropped");
    drop(release);
    assert_eq!(called.load(Ordering::SeqCst), 0);
}

#[evloop::test]
async fn a_panic_of_an_abandoned_function_is_not_lost() {
    let reports = reports();
    let (started, has_started) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let job = create_task(to_thread(move || {
        started.send(()).unwrap();
        let _ = may_go_on.recv();
        panic!("nobody listens");
    }));
    to_thread(move || has_started.recv().unwrap()).await;
    job.cancel();
    assert!(job.await.unwrap_err().is_cancelled());
    drop(go_on);
    // Its thread may take its time.
    for _ in 0..2000 {
        if reports.is_empty() {
            to_thread(|| std::thread::sleep(millis(5))).await;
        }
    }
    assert_eq!(reports.take(), ["nobody listens"]);
}

#[test]
fn outside_of_a_loop_it_panics_with_the_remedy() {
    let mut job = to_thread(|| ());
    let text = crate::support::panic_of(|| {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        crate::support::poll_once(&mut job, &mut cx)
    });
    assert!(text.contains("to_thread() needs a running loop"), "{text}");
}

#[evloop::test]
async fn a_job_that_is_polled_by_another_task_wakes_that_one() {
    let (release, gate) = mpsc::channel::<()>();
    let mut job = to_thread(move || gate.recv().is_err());
    // First polled here, then moved away.
    let first = futures::poll!(&mut job);
    assert!(first.is_pending());
    let other = create_task(job);
    yield_now().await;
    drop(release);
    assert!(other.await.unwrap());
}

#[test]
fn a_program_of_jobs_alone_ends() {
    // Nothing but the pool's ring can wake the loop here.
    let total = evloop::run(async {
        let mut total = 0;
        for n in 0..50_u32 {
            total += to_thread(move || n).await;
        }
        total
    });
    assert_eq!(total, (0..50).sum::<u32>());
}

/// A value that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb");
    }
}

#[test]
fn captured_values_that_panic_when_dropped_unused_do_not_use_up_the_pool() {
    // Abandoned jobs are dropped by the threads of the pool. Each takes one thread down if that is not
    // caught, and there are at most 32.
    let mut event_loop = virtual_loop();
    let began = Instant::now();
    let ended = event_loop.run_until_complete(async {
        let (release, blockers) = block_all_threads();
        yield_now().await;
        let abandoned: Vec<_> = (0..40)
            .map(|_| {
                let bomb = Bomb;
                create_task(to_thread(move || std::mem::forget(bomb)))
            })
            .collect();
        yield_now().await;
        abandoned.iter().for_each(|job| assert!(job.cancel()));
        yield_now().await;
        drop(release);
        gather(blockers).await.unwrap();
        // Real time, since the virtual clock stands still for a job that waits for ever.
        let last = create_task(to_thread(|| "still at work"));
        while !last.done() && began.elapsed() < secs(3) {
            yield_now().await;
        }
        matches!(last.result(), Some(Ok(&"still at work")))
    });
    assert!(ended.unwrap(), "no thread is left that works");
}

#[test]
fn captured_values_that_panic_when_dropped_unused_do_not_make_run_panic() {
    let output = evloop::run(async {
        let (release, blockers) = block_all_threads();
        yield_now().await;
        let bomb = Bomb;
        create_task(to_thread(move || std::mem::forget(bomb))).detach();
        yield_now().await;
        blockers.into_iter().for_each(evloop::Task::detach);
        std::thread::spawn(move || {
            std::thread::sleep(millis(20));
            drop(release);
        });
        "main's output"
    });
    assert_eq!(output, "main's output");
}

#[test]
fn a_cleanup_at_the_end_of_a_run_may_use_threads() {
    let (sender, done) = mpsc::channel();
    evloop::run(async move {
        let cleanup = async move { to_thread(move || sender.send("cleaned up on a thread").unwrap()).await };
        create_task(evloop::finally(sleep(secs(3600)), cleanup)).detach();
        yield_now().await;
    });
    assert_eq!(done.try_recv(), Ok("cleaned up on a thread"));
}

#[evloop::test]
async fn a_thread_of_the_pool_may_run_a_loop_of_its_own() {
    let nested = to_thread(|| evloop::run(async { to_thread(|| 5).await + 1 }));
    assert_eq!(nested.await, 6);
}
