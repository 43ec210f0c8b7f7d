//! Who hears of panics: the loop's exception handler, the default one, and nobody twice.

use std::cell::{Cell, RefCell};
use std::process::Command;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{
    call_later, call_soon, catch_cancel, create_task, current_task, get_running_loop, sleep, yield_now,
};

use crate::support::{Log, OnDrop, forever_with, reports, reports_of, virtual_loop};

/// A value whose destructor panics with this text.
fn panics_when_dropped(text: &'static str) -> OnDrop<impl FnOnce()> {
    OnDrop::new(move || panic!("{text}"))
}

/// From now on, message and panic of what the running loop's handler is told.
fn full_reports() -> Log {
    let log = Log::new();
    let sink = log.clone();
    get_running_loop().unwrap().set_exception_handler(move |context| {
        sink.push(format!("{}: {}", context.message(), context.panic_message()));
    });
    log
}

#[evloop::test]
async fn test_set_exc_handler_custom() {
    let event_loop = get_running_loop().unwrap();
    let seen = Log::new();
    let sink = seen.clone();
    event_loop.set_exception_handler(move |context| {
        let payload = context.payload().and_then(|payload| payload.downcast_ref::<u32>()).copied();
        sink.push(format!("{} | {payload:?} | {:?}", context.message(), context.task_name()));
    });
    let _ = call_soon(|| std::panic::panic_any(1007_u32));
    settle().await;
    assert_eq!(seen.take(), ["a callback panicked | Some(1007) | None"]);
    let second = reports();
    let _ = call_soon(|| panic!("for the second"));
    settle().await;
    assert_eq!(second.take(), ["for the second"]);
    assert_eq!(seen.take(), [""; 0]);
}

#[evloop::test]
async fn a_payload_that_is_no_text_is_described() {
    let reports = reports();
    let _ = call_soon(|| std::panic::panic_any(1007_u32));
    settle().await;
    let formatted = String::from("formatted");
    let _ = call_soon(move || panic!("{formatted}"));
    settle().await;
    assert_eq!(reports.take(), ["a panic whose payload is not a text", "formatted"]);
}

#[evloop::test]
async fn a_context_has_texts() {
    get_running_loop().unwrap().set_debug(false); // it would name the place, too
    let texts = Rc::new(RefCell::new(Vec::new()));
    let sink = texts.clone();
    get_running_loop().unwrap().set_exception_handler(move |context| {
        *sink.borrow_mut() = vec![format!("{context}"), format!("{context:?}")]
    });
    let task = create_task(async { panic!("boom") });
    task.set_name("t");
    task.detach();
    settle().await;
    let message = "a task panicked and nobody awaited it";
    assert_eq!(
        texts.take(),
        [
            format!("{message} (task t): boom"),
            format!("ErrorContext {{ message: \"{message}\", panic: \"boom\", task: Some(\"t\") }}")
        ]
    );
}

#[evloop::test]
async fn every_place_where_a_panic_would_be_lost_reports_it() {
    let reports = full_reports();
    let _ = call_soon(|| panic!("1"));
    settle().await;
    let _ = call_later(secs(1), || panic!("2"));
    sleep(secs(1)).await;
    settle().await;
    let task = create_task(async {});
    task.add_done_callback(|_| panic!("3"));
    settle().await;
    let _ = evloop::Promise::<()>::new().cancel();
    let promise = evloop::Promise::new();
    promise.add_done_callback(|_| panic!("4"));
    promise.set_result(()).unwrap();
    settle().await;
    create_task(async { panic!("5") }).detach();
    settle().await;
    let task = create_task(forever_with(panics_when_dropped("6")));
    settle().await;
    task.cancel();
    settle().await;
    assert!(task.cancelled(), "it ends as it was to end");
    let guard = panics_when_dropped("7");
    call_soon(move || drop(guard)).cancel();
    let guard = panics_when_dropped("8");
    call_later(secs(1), move || drop(guard)).cancel();
    create_task(async { panics_when_dropped("9") }).detach();
    settle().await;
    let task = create_task(async { panics_when_dropped("10") });
    settle().await;
    drop(task);
    let task = create_task(async {
        let _guard = panics_when_dropped("11, while");
        let guard = panics_when_dropped("never seen");
        std::mem::forget(guard);
        forever_with(()).await;
    });
    task.cancel();
    settle().await;
    assert_eq!(
        reports.take(),
        [
            "a callback panicked: 1",
            "a callback panicked: 2",
            "a callback panicked: 3",
            "a callback panicked: 4",
            "a task panicked and nobody awaited it: 5",
            "a destructor panicked while its task was cancelled: 6",
            "a callback panicked when it was dropped: 7",
            "a callback panicked when it was dropped: 8",
            "a destructor panicked while a task's unclaimed output was dropped: 9",
            "a destructor panicked while a task's unclaimed output was dropped: 10",
        ],
        "and 11 was never made: its task never ran"
    );
}

#[evloop::test]
async fn a_destructor_that_panics_at_a_tasks_last_step_is_the_tasks_panic() {
    struct Future(bool);
    impl std::future::Future for Future {
        type Output = u8;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<u8> {
            std::task::Poll::Ready(7)
        }
    }
    impl Drop for Future {
        fn drop(&mut self) {
            assert!(!self.0, "the future's destructor");
        }
    }
    let reports = reports();
    match create_task(Future(true)).await {
        Err(evloop::TaskError::Panicked(panic)) => assert_eq!(panic.message(), "the future's destructor"),
        other => panic!("{other:?}"),
    }
    assert_eq!(create_task(Future(false)).await.unwrap(), 7);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn two_destructors_that_panic_in_one_cancelled_task_are_one_report_and_no_abort() {
    let reports = reports();
    let task = create_task(async {
        let _a = OnDrop::new(|| {
            // While another destructor's panic unwinds, a second panic would abort: a careful one looks.
            if !std::thread::panicking() {
                panic!("a");
            }
        });
        let _b = panics_when_dropped("b");
        forever_with(()).await;
    });
    settle().await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(reports.take(), ["b"]);
}

#[evloop::test]
async fn a_panic_is_seen_once_by_whoever_sees_it_first() {
    let reports = reports();
    let awaited = create_task(async { panic!("awaited") });
    awaited.await.unwrap_err();
    let cloned = create_task(async { panic!("cloned") as u8 });
    (&cloned).await.unwrap_err();
    drop(cloned);
    let gathered = evloop::gather_all((async { panic!("gathered") as u8 }, async { 1 })).await;
    assert!(gathered.0.is_err());
    drop(gathered);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn the_awaiter_that_is_cancelled_has_not_seen_the_panic() {
    let reports = reports();
    let child = create_task(async {
        let _ = catch_cancel(sleep(secs(10))).await;
        panic!("in the cleanup");
    });
    let parent = create_task(async move {
        let _: () = child.await.unwrap();
    });
    settle().await;
    parent.cancel();
    // The child's panic is what becomes of the request, for both.
    assert!(parent.await.unwrap_err().is_panic());
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn a_handler_may_use_the_loop_and_replace_itself() {
    let (event_loop, log) = (get_running_loop().unwrap(), Log::new());
    event_loop.set_exception_handler({
        let (event_loop, log) = (event_loop.clone(), log.clone());
        let guard = log.on_drop("the first handler was dropped");
        move |context| {
            let _ = &guard;
            log.push(format!("first: {}", context.panic_message()));
            let _ = event_loop.call_soon(log.callback("called by the handler"));
            event_loop.create_task(sleep(secs(1))).detach();
            let sink = log.clone();
            event_loop.set_exception_handler(move |context| {
                sink.push(format!("second: {}", context.panic_message()))
            });
        }
    });
    let _ = call_soon(|| panic!("a"));
    settle().await;
    assert_eq!(log.take(), ["first: a", "the first handler was dropped", "called by the handler"]);
    let _ = call_soon(|| panic!("b"));
    settle().await;
    assert_eq!(log.take(), ["second: b"]);
}

#[evloop::test]
async fn a_handler_sees_the_task_it_is_called_in() {
    let seen = Rc::new(Cell::new(None));
    let sink = seen.clone();
    get_running_loop().unwrap().set_exception_handler(move |_| sink.set(Some(current_task().is_some())));
    let _ = call_soon(|| panic!("in a callback"));
    settle().await;
    assert_eq!(seen.take(), Some(false));
    // Dropped inside of this task's step.
    let guard = panics_when_dropped("in a task");
    call_soon(move || drop(guard)).cancel();
    assert_eq!(seen.take(), Some(true));
}

#[test]
fn a_loops_handler_is_told_of_what_happens_at_its_end() {
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let reports = reports_of(&handle);
    handle.create_task(forever_with(panics_when_dropped("task"))).detach();
    let guard = panics_when_dropped("callback");
    event_loop.run_once(None).unwrap();
    let _ = handle.call_soon(move || drop(guard));
    let guard = panics_when_dropped("timer");
    let _ = handle.call_later(secs(1), move || drop(guard));
    let guard = OnDrop::new(|| panic!("letter"));
    handle.proxy().call_soon(move || drop(guard)).unwrap();
    drop(event_loop);
    let mut said = reports.take();
    said.sort();
    assert_eq!(said, ["callback", "letter", "task", "timer"]);
}

#[test]
fn the_panic_of_a_task_that_is_held_after_the_loops_end_goes_to_standard_error() {
    let mut event_loop = virtual_loop();
    let reports = reports_of(&event_loop.handle());
    let task = event_loop.handle().create_task(async { panic!("late") });
    event_loop.run_once(None).unwrap();
    drop(event_loop);
    assert!(task.result().unwrap().unwrap_err().is_panic(), "it can still be read");
    drop(task);
    assert_eq!(reports.take(), [""; 0]);
}

/// A waker that panics when it wakes.
fn panicking_waker() -> std::task::Waker {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("the waker");
        }
    }
    std::sync::Arc::new(Panics).into()
}

#[evloop::test]
async fn a_waker_that_panics_does_not_take_the_loop_down() {
    let reports = reports();
    let (waker, log) = (panicking_waker(), Log::new());
    // The timer, then a task's end, wake somebody else's waker.
    let mut nap = sleep(secs(1));
    assert!(crate::support::poll_once(&mut nap, &mut std::task::Context::from_waker(&waker)).is_pending());
    let mut join = create_task(async { sleep(secs(2)).await }).join();
    assert!(crate::support::poll_once(&mut join, &mut std::task::Context::from_waker(&waker)).is_pending());
    let _ = call_later(secs(1), log.callback("the next timer of that instant"));
    sleep(secs(3)).await;
    assert_eq!(log.take(), ["the next timer of that instant"]);
    assert_eq!(reports.take(), ["the waker", "the waker"]);
}

#[test]
fn the_panic_of_a_task_that_the_host_drops_between_turns_is_told_to_its_loops_handler() {
    let mut event_loop = virtual_loop();
    let reports = reports_of(&event_loop.handle());
    let task = event_loop.handle().create_task(async { panic!("unread") });
    event_loop.run_once(None).unwrap();
    drop(task);
    let task = event_loop.handle().create_task(async { panics_when_dropped("an output") });
    event_loop.run_once(None).unwrap();
    drop(task);
    let guard = panics_when_dropped("a timer's callback");
    event_loop.handle().call_later(secs(1), move || drop(guard)).cancel();
    assert_eq!(reports.take(), ["unread", "an output", "a timer's callback"]);
}

// The default handler writes to standard error, past the test harness: looked at from outside.

/// Set in a child process that is to run one of the tests called `child_…`; elsewhere they do nothing.
const CHILD: &str = "EVLOOP_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// What a child process, running the test of that name, writes to standard error.
fn stderr_of(test: &str) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("RUST_BACKTRACE", "0")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{text}");
    text
}

#[test]
fn child_with_the_default_handler() {
    if !is_child() {
        return;
    }
    evloop::run(async {
        get_running_loop().unwrap().set_debug(false); // it would name the place, too
        let _ = call_soon(|| panic!("in a callback"));
        let task = create_task(async { panic!("in a task") });
        task.set_name("worker");
        task.detach();
        yield_now().await;
    });
}

#[test]
fn test_default_exc_handler() {
    let text = stderr_of("exceptions::child_with_the_default_handler");
    assert!(text.contains("evloop: a callback panicked: in a callback\n"), "{text}");
    let task = "evloop: a task panicked and nobody awaited it (task worker): in a task\n";
    assert!(text.contains(task), "{text}");
}

#[test]
fn child_with_a_broken_handler() {
    if !is_child() {
        return;
    }
    evloop::run(async {
        let event_loop = get_running_loop().unwrap();
        event_loop.set_exception_handler(|_| panic!("the handler's own"));
        let _ = call_soon(|| panic!("the cause"));
        yield_now().await;
        event_loop.reset_exception_handler();
        let _ = call_soon(|| panic!("after the reset"));
        yield_now().await;
    });
}

#[test]
fn test_set_exc_handler_broken() {
    let text = stderr_of("exceptions::child_with_a_broken_handler");
    assert!(text.contains("evloop: a callback panicked: the cause\n"), "{text}");
    assert!(text.contains("evloop: the exception handler itself panicked: the handler's own\n"), "{text}");
    assert!(text.contains("evloop: a callback panicked: after the reset\n"), "{text}");
}

#[test]
fn child_with_a_broken_payload() {
    struct Broken(u8);
    impl Drop for Broken {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Broken(self.0 - 1));
            }
        }
    }
    if !is_child() {
        return;
    }
    evloop::run(async {
        let _ = call_soon(|| std::panic::panic_any(Broken(2)));
        create_task(async { std::panic::panic_any(Broken(2)) }).detach();
        yield_now().await;
        create_task(async {}).await.unwrap();
    });
}

#[test]
fn a_payload_that_panics_when_dropped_is_survived() {
    let text = stderr_of("exceptions::child_with_a_broken_payload");
    assert_eq!(text.matches("evloop: a callback panicked").count(), 1, "{text}");
    assert_eq!(text.matches("evloop: a task panicked").count(), 1, "{text}");
}
