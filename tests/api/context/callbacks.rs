//! What callbacks and other threads see.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use evloop::context::Context;
use evloop::time::{millis, now};
use evloop::{
    ContextVar, Promise, Task, call_at, call_later, call_soon, create_task, get_running_loop, sleep,
    to_thread, yield_now,
};

use crate::support::{Log, reports, virtual_loop};

static X: ContextVar<&str> = ContextVar::new("x").with_default(|| "none");
static LOCAL: ContextVar<Rc<str>> = ContextVar::local("local");

/// A callback that logs what it sees and sets something.
fn sees(log: &Log, name: &'static str) -> impl FnOnce() + use<> {
    let log = log.clone();
    move || {
        log.push(format!("{name} sees {}", X.get().unwrap()));
        X.set(name);
    }
}

#[evloop::test]
async fn a_callback_sees_what_was_set_when_it_was_scheduled() {
    let log = Log::new();
    X.set("one");
    call_soon(sees(&log, "soon"));
    call_later(millis(1), sees(&log, "later"));
    X.set("two");
    call_at(now() + millis(2), sees(&log, "at"));
    X.set("three");
    sleep(millis(3)).await;
    assert_eq!(log.take(), ["soon sees one", "later sees one", "at sees two"]);
    assert_eq!(X.get(), Some("three"), "what they set is their own");
}

#[test]
fn a_callback_that_was_scheduled_before_anything_was_set_sees_nothing() {
    let mut event_loop = virtual_loop();
    let (log, handle) = (Log::new(), event_loop.handle());
    handle.call_soon(sees(&log, "first"));
    handle.call_soon(sees(&log, "second"));
    X.set("of the thread");
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["first sees none", "second sees none"]);
    assert_eq!(X.get(), Some("of the thread"));
}

#[evloop::test(order = "fifo")]
async fn a_callbacks_callbacks_and_tasks_inherit_from_it() {
    let log = Log::new();
    let sink = log.clone();
    call_soon(move || {
        X.set("callback");
        call_soon(sees(&sink, "inner"));
        create_task(async move { sees(&sink, "task")() }).detach();
    });
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["inner sees callback", "task sees callback"]);
}

#[evloop::test(order = "fifo")]
async fn a_promises_callback_sees_what_was_set_when_it_was_added() {
    let (log, promise) = (Log::new(), Promise::new());
    X.set("added");
    let first = sees(&log, "first");
    promise.add_done_callback(move |_| first());
    X.set("done");
    promise.set_result(()).unwrap();
    let second = sees(&log, "second");
    promise.add_done_callback(move |_| second());
    X.set("after");
    yield_now().await;
    assert_eq!(log.take(), ["first sees added", "second sees done"]);
}

#[cfg(unix)]
#[evloop::test(clock = "real")]
async fn callbacks_for_descriptors_and_signals_run_in_one_context_each() {
    use evloop::signal::Signal;
    use std::io::Write;

    let (log, event_loop) = (Log::new(), get_running_loop().unwrap());
    let repeatedly = |name: &'static str| {
        let log = log.clone();
        move || sees(&log, name)()
    };
    let (mut one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    X.set("reader added");
    event_loop.add_reader(&other, repeatedly("reader")).unwrap();
    X.set("signal added");
    event_loop.add_signal_handler(Signal::SIGUSR2, repeatedly("signal")).unwrap();
    X.set("main");
    one.write_all(b"!").unwrap();
    while log.is_empty() {
        sleep(millis(1)).await;
    }
    yield_now().await;
    event_loop.remove_reader(&other);
    let seen = log.take();
    assert_eq!(seen[..2], ["reader sees reader added", "reader sees reader"]);
    for _ in 0..2 {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR2).unwrap();
        while log.is_empty() {
            sleep(millis(1)).await;
        }
        let expected =
            if X.get() == Some("main") { "signal sees signal added" } else { "signal sees signal" };
        assert_eq!(log.take(), [expected]);
        X.set("heard");
    }
    event_loop.remove_signal_handler(Signal::SIGUSR2);
}

#[evloop::test]
async fn what_comes_from_another_thread_brings_what_may_travel() {
    let event_loop = get_running_loop().unwrap();
    let proxy = event_loop.proxy();
    let seen = || (X.get(), LOCAL.get().is_some());
    let (sender, receiver) = std::sync::mpsc::channel();
    X.set("of the loop");
    let thread = thread::spawn(move || {
        let plain = proxy.create_task(move || async move { seen() });
        X.set("of the thread");
        LOCAL.set("stays".into());
        proxy
            .call_soon(move || sender.send((seen(), X.set("callback").old_value().copied())).unwrap())
            .unwrap();
        let task = proxy.create_task(move || async move {
            yield_now().await;
            seen()
        });
        (plain.join().unwrap(), task.join().unwrap(), seen())
    });
    let (plain, task, own) = to_thread(move || thread.join().unwrap()).await;
    assert_eq!(plain, (Some("none"), false));
    assert_eq!(receiver.recv().unwrap(), ((Some("of the thread"), false), Some("of the thread")));
    assert_eq!(task, (Some("of the thread"), false));
    assert_eq!(own, (Some("of the thread"), true));
    assert_eq!(X.get(), Some("of the loop"));
}

#[evloop::test]
async fn on_its_own_thread_a_proxy_takes_all_along() {
    LOCAL.set("here".into());
    let proxy = get_running_loop().unwrap().proxy();
    let task = proxy.create_task(|| async { LOCAL.with(|here| here.to_string()) });
    assert_eq!(task.await.unwrap().as_deref(), Some("here"));
}

#[evloop::test]
async fn a_panic_from_another_thread_is_reported_in_the_context_that_came_along() {
    let log = Log::new();
    let sink = log.clone();
    let event_loop = get_running_loop().unwrap();
    event_loop.set_exception_handler(move |context| {
        sink.push(format!("{} {}", context.panic_message(), X.get().unwrap()));
    });
    let proxy = event_loop.proxy();
    let failing = move || {
        X.set("thread");
        proxy.call_soon(|| panic!("callback")).unwrap();
    };
    to_thread(failing).await;
    yield_now().await;
    assert_eq!(log.take(), ["callback thread"]);
}

#[evloop::test]
async fn what_a_job_has_of_its_context_goes_before_its_result_comes() {
    static KEPT: ContextVar<Arc<()>> = ContextVar::new("kept");
    let value = Arc::new(());
    KEPT.set(value.clone());
    for _ in 0..20 {
        let other = Arc::new(());
        let of_job = Arc::downgrade(&other);
        to_thread(move || drop(KEPT.set(other))).await;
        assert_eq!((Arc::strong_count(&value), of_job.strong_count()), (2, 0));
    }
}

#[evloop::test]
async fn a_job_takes_what_may_travel() {
    let reports = reports();
    X.set("main");
    LOCAL.set("local".into());
    let there = to_thread(|| {
        let seen = (X.get(), LOCAL.get().is_some());
        LOCAL.set("of the job".into());
        X.set("job");
        seen
    });
    X.set("when it begins");
    assert_eq!(there.await, (Some("when it begins"), false));
    assert_eq!((X.get(), LOCAL.get().as_deref()), (Some("when it begins"), Some("local")));
    let empty = Task::builder().context(&Context::new());
    let clean = empty.spawn(to_thread(|| (X.get(), LOCAL.get().is_some())));
    assert_eq!(clean.await.unwrap(), (Some("none"), false), "nothing is left on the pool's threads");
    assert!(reports.is_empty());
}
