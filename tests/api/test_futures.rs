//! CPython's `test_futures`, for [`Promise`], and its callback rules for tasks, too.
//!
//! Deviations and what has no counterpart:
//! * `test_constructor_without_loop`: not an error, a promise belongs to no loop; hence no
//!   `test_constructor_use_running_loop`, `test_wrap_future_use_running_loop`.
//! * `test_copy_state`: asyncio has a private function for that; here it is written with the public ones.
//! * `test_tb_logger_*`, `test_future_exception_never_retrieved`: an error set on a promise is an ordinary
//!   value of a `Result`, which nobody reports. What is reported is a task's panic; the tests of that name
//!   ask the same questions of it.
//! * `test_tb_logger_not_called_after_cancel`: that a task's panic is reported all the same is in `test_tasks`.
//! * `test_remove_done_callback`: a registration has an id of its own, so one call removes one callback.
//! * `test_wrap_future_cancel`: see `test_threads::a_function_that_was_not_begun_never_runs`.

use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Promise, call_soon, create_task, to_thread, yield_now};

use crate::support::{Log, panic_of, reports, tick};

#[evloop::test]
async fn test_initial_state() {
    let promise = Promise::<u8>::new();
    assert!(!promise.done() && !promise.cancelled());
    assert!(promise.result().is_none());
    assert_eq!(format!("{promise:?}"), "Promise { state: pending, observers: 0 }");
}

#[test]
fn test_constructor_without_loop() {
    let promise = Promise::new();
    promise.set_result(5).unwrap();
    assert_eq!(promise.take_result(), Some(Ok(5)));
}

#[evloop::test]
async fn test_copy_state() {
    fn copied<T: Clone>(from: &Promise<T>) -> Promise<T> {
        let to = Promise::new();
        match from.result().expect("it is done") {
            Ok(value) => to.set_result(value).expect("nobody else sets it"),
            Err(_) => assert!(to.cancel()),
        }
        to
    }
    let [value, error, cancelled] = [(); 3].map(|()| Promise::<Result<u8, &str>>::new());
    value.set_result(Ok(10)).unwrap();
    error.set_result(Err("failed")).unwrap();
    cancelled.cancel();
    assert_eq!(copied(&value).await, Ok(Ok(10)));
    assert_eq!(copied(&error).await, Ok(Err("failed")));
    let copy = copied(&cancelled);
    assert!(copy.cancelled() && copy.await.is_err());
}

#[evloop::test]
async fn test_cancel() {
    let promise = Promise::new();
    assert!(promise.cancel());
    assert!(promise.done() && promise.cancelled());
    assert!(promise.result().unwrap().is_err());
    assert_eq!(promise.set_result(5).unwrap_err().0, 5, "the value comes back");
    assert!(!promise.cancel());
    assert!(promise.await.is_err());
}

#[evloop::test]
async fn test_future_cancel_message_getter() {
    let promise = Promise::<u8>::new();
    assert!(promise.cancel_with("my message"));
    assert!(!promise.cancel_with("another one"));
    assert_eq!(promise.await.unwrap_err().message(), Some("my message"));
    let promise = Promise::<u8>::new();
    promise.cancel();
    assert_eq!(promise.await.unwrap_err().message(), None);
}

#[evloop::test]
async fn test_result() {
    let promise = Promise::new();
    promise.set_result(42).unwrap();
    assert!(promise.done() && !promise.cancelled());
    assert_eq!(promise.result().unwrap().unwrap(), 42);
    assert_eq!(promise.result().unwrap().unwrap(), 42, "read as often as one likes");
    assert_eq!(promise.set_result(43).unwrap_err().0, 43);
    assert!(!promise.cancel());
    assert_eq!(promise.await.unwrap(), 42);
}

#[evloop::test]
async fn test_exception() {
    let promise = Promise::<Result<u8, &'static str>>::new();
    promise.set_result(Err("failed")).unwrap();
    assert_eq!(promise.result().unwrap().unwrap(), Err("failed"));
    assert!(promise.set_result(Ok(1)).is_err());
    assert!(!promise.cancel());
    assert_eq!(promise.await.unwrap(), Err("failed"));
}

#[evloop::test]
async fn test_yield_from_twice() {
    let promise = Promise::new();
    let task = create_task({
        let promise = promise.clone();
        async move {
            let first = (&promise).await.unwrap();
            let iteration = tick();
            let second = (&promise).await.unwrap();
            (first, second, tick() - iteration)
        }
    });
    yield_now().await;
    promise.set_result("done").unwrap();
    assert_eq!(task.await.unwrap(), ("done", "done", 0));
}

#[evloop::test]
async fn test_tb_logger_abandoned() {
    let reports = reports();
    drop(Promise::<u8>::new());
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn test_tb_logger_result_unretrieved() {
    let reports = reports();
    Promise::new().set_result(1).unwrap();
    create_task(async { "unread" }).detach();
    yield_now().await;
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn test_tb_logger_result_retrieved() {
    let reports = reports();
    let promise = Promise::new();
    promise.set_result(1).unwrap();
    assert_eq!(promise.result().unwrap().unwrap(), 1);
    drop(promise);
    assert_eq!(create_task(async { 1 }).await.unwrap(), 1);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn test_tb_logger_exception_unretrieved() {
    let reports = reports();
    let task = create_task(async { panic!("unread") });
    settle().await;
    assert!(task.done());
    assert_eq!(reports.take(), [""; 0], "somebody may still read it");
    drop(task);
    assert_eq!(reports.take(), ["unread"]);
}

#[evloop::test]
async fn test_tb_logger_not_called_after_cancel() {
    let reports = reports();
    // An error in a promise is a value, and nobody reports values.
    let promise = Promise::<Result<(), &str>>::new();
    promise.set_result(Err("unread")).unwrap();
    assert!(!promise.cancel() && !promise.cancelled());
    drop(promise);
    yield_now().await;
    assert!(reports.is_empty());
}

#[evloop::test]
async fn test_tb_logger_exception_retrieved() {
    let reports = reports();
    let task = create_task(async { panic!("read") });
    settle().await;
    assert!(task.result().unwrap().unwrap_err().is_panic());
    drop(task);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn test_tb_logger_exception_result_retrieved() {
    let reports = reports();
    let mut task = create_task(async { panic!("taken") });
    settle().await;
    assert!(task.take_result().unwrap().unwrap_err().is_panic());
    drop(task);
    assert_eq!(reports.take(), [""; 0]);
}

#[evloop::test]
async fn a_panic_is_reported_although_cancel_was_called_on_the_finished_task() {
    let reports = reports();
    let task = create_task(async { panic!("unread") });
    settle().await;
    assert!(!task.cancel());
    drop(task);
    assert_eq!(reports.take(), ["unread"]);
}

#[evloop::test]
async fn test_future_exception_never_retrieved() {
    evloop::get_running_loop().unwrap().set_debug(false); // it would name the place, too
    let said = Log::new();
    let sink = said.clone();
    evloop::get_running_loop().unwrap().set_exception_handler(move |context| {
        sink.push(format!("{} / {:?} / {context}", context.message(), context.task_name()));
    });
    let task = create_task(async { panic!("boom") });
    task.set_name("careless");
    task.detach();
    settle().await;
    let message = "a task panicked and nobody awaited it";
    assert_eq!(said.take(), [format!("{message} / Some(\"careless\") / {message} (task careless): boom")]);
}

#[evloop::test(order = "fifo")]
async fn test_future_exception_never_retrieved_debug() {
    let said = Log::new();
    let sink = said.clone();
    let event_loop = evloop::get_running_loop().unwrap();
    event_loop.set_debug(true);
    event_loop.set_exception_handler(move |context| {
        sink.push(format!("{} {context}", context.task_location().unwrap()));
    });
    let task = create_task(async { panic!("boom") });
    task.set_name("careless");
    let place = task.location().unwrap();
    task.detach();
    yield_now().await;
    let text = format!("a task panicked and nobody awaited it (task careless created at {place}): boom");
    assert_eq!(said.take(), [format!("{place} {text}")]);
}

#[test]
fn test_future_source_traceback() {
    let line = line!() + 1;
    let (made, by_default) = (Promise::<u8>::new(), Promise::<u8>::default());
    for promise in [&made, &made.clone(), &by_default] {
        assert_eq!((promise.location().file(), promise.location().line()), (file!(), line));
    }
}

#[evloop::test]
async fn test_wrap_future() {
    let here = std::thread::current().id();
    let (value, there) = to_thread(|| ("result", std::thread::current().id())).await;
    assert_eq!(value, "result");
    assert_ne!(there, here);
}

#[evloop::test]
async fn test_wrap_future_cancel2() {
    let mut job = create_task(to_thread(|| 42));
    while !job.done() {
        yield_now().await;
    }
    assert!(!job.cancel());
    assert_eq!(job.take_result().unwrap().unwrap(), 42, "a finished job is not changed");
}

#[evloop::test]
async fn test_set_result_unless_cancelled() {
    let promise = Promise::new();
    promise.cancel();
    // The idiom: whoever sets late ignores the error.
    let _ = promise.set_result(5);
    assert!(promise.cancelled());
}

// FutureDoneCallbackTests: once for promises, once for tasks.

/// Registers callbacks with these names, in order; returns their ids.
fn add<const N: usize>(promise: &Promise<u8>, log: &Log, names: [&'static str; N]) -> [PromiseCallback; N] {
    names.map(|name| {
        let log = log.clone();
        promise.add_done_callback(move |_| log.push(name))
    })
}

type PromiseCallback = evloop::sync::CallbackId;

#[evloop::test(order = "fifo")]
async fn test_callbacks_remove_first_callback() {
    let (promise, log) = (Promise::new(), Log::new());
    let [first, ..] = add(&promise, &log, ["1", "2", "3"]);
    assert!(promise.remove_done_callback(first));
    assert!(!promise.remove_done_callback(first));
    promise.cancel();
    yield_now().await;
    assert_eq!(log.take(), ["2", "3"]);
}

#[evloop::test]
async fn test_callbacks_remove_first_and_second_callback() {
    let (promise, log) = (Promise::new(), Log::new());
    let [first, second, _] = add(&promise, &log, ["1", "2", "3"]);
    assert!(promise.remove_done_callback(first));
    assert!(promise.remove_done_callback(second));
    promise.cancel();
    settle().await;
    assert_eq!(log.take(), ["3"]);
}

#[evloop::test(order = "fifo")]
async fn test_callbacks_remove_third_callback() {
    let (promise, log) = (Promise::new(), Log::new());
    let [.., third] = add(&promise, &log, ["1", "2", "3"]);
    assert!(promise.remove_done_callback(third));
    promise.cancel();
    yield_now().await;
    assert_eq!(log.take(), ["1", "2"]);
}

#[evloop::test(order = "fifo")]
async fn test_callbacks_invoked_on_set_result() {
    let (promise, log) = (Promise::new(), Log::new());
    add(&promise, &log, ["1", "2"]);
    promise.set_result(1).unwrap();
    assert_eq!(log.take(), [""; 0], "never from inside of set_result");
    add(&promise, &log, ["late"]);
    let _ = call_soon(log.callback("soon"));
    yield_now().await;
    assert_eq!(log.take(), ["1", "2", "late", "soon"]);
    assert_eq!(promise.result().unwrap().unwrap(), 1);
}

#[evloop::test]
async fn test_callbacks_invoked_on_set_exception() {
    let (promise, log) = (Promise::<Result<u8, &'static str>>::new(), Log::new());
    let sink = log.clone();
    promise.add_done_callback(move |p| sink.push(format!("{:?}", p.result().unwrap().unwrap())));
    promise.set_result(Err("failed")).unwrap();
    assert_eq!(log.take(), [""; 0]);
    settle().await;
    assert_eq!(log.take(), ["Err(\"failed\")"]);
}

#[evloop::test(order = "fifo")]
async fn test_remove_done_callback() {
    let (promise, log) = (Promise::new(), Log::new());
    let ids = add(&promise, &log, ["1", "1", "2", "1"]);
    assert!(promise.remove_done_callback(ids[0]));
    assert!(promise.remove_done_callback(ids[3]));
    let stranger = Promise::<u8>::new();
    let strange = add(&stranger, &log, ["x", "x", "x", "x"]);
    assert!(!promise.remove_done_callback(strange[2]), "an id is good for its own promise only");
    promise.set_result(1).unwrap();
    assert!(!promise.remove_done_callback(ids[1]), "what completion has scheduled will run");
    yield_now().await;
    assert_eq!(log.take(), ["1", "2"]);
    let late = promise.add_done_callback(log_again(&log));
    assert!(!promise.remove_done_callback(late));
    yield_now().await;
    assert_eq!(log.take(), ["again"]);
}

fn log_again(log: &Log) -> impl FnOnce(&Promise<u8>) + use<> {
    let log = log.clone();
    move |_| log.push("again")
}

#[evloop::test(order = "fifo")]
async fn test_schedule_callbacks_list_mutation_1() {
    let (promise, log) = (Promise::<u8>::new(), Log::new());
    let later = Rc::new(std::cell::Cell::new(None));
    promise.add_done_callback({
        let (log, later) = (log.clone(), later.clone());
        move |promise| {
            let removed = promise.remove_done_callback(later.get().unwrap());
            log.push(format!("first; removed the second: {removed}"));
        }
    });
    later.set(Some(add(&promise, &log, ["second"])[0]));
    promise.set_result(1).unwrap();
    yield_now().await;
    assert_eq!(log.take(), ["first; removed the second: false", "second"]);
}

#[evloop::test(order = "fifo")]
async fn a_tasks_callbacks_follow_the_same_rules() {
    let log = Log::new();
    let task = create_task(async {});
    let [first, second, third] = ["1", "2", "3"].map(|name| {
        let log = log.clone();
        task.add_done_callback(move |task| log.push_at(format_args!("{name} {}", task.done())))
    });
    assert!(task.remove_done_callback(second));
    assert!(!task.remove_done_callback(second));
    yield_now().await;
    assert!(task.done());
    assert!(!task.remove_done_callback(first) && !task.remove_done_callback(third), "they are scheduled");
    let _ = call_soon(log.callback("soon"));
    let late = {
        let log = log.clone();
        task.add_done_callback(move |_| log.push("late"))
    };
    assert!(!task.remove_done_callback(late));
    assert_eq!(log.take(), [""; 0]);
    yield_now().await;
    assert_eq!(log.take(), ["3:1 true", "3:3 true", "soon", "late"]);
}

#[evloop::test]
async fn an_id_of_another_tasks_callback_removes_nothing() {
    let (log, promise) = (Log::new(), Promise::new());
    let watched = create_task({
        let promise = promise.clone();
        async move { promise.await.unwrap() }
    });
    let other = create_task(std::future::pending::<()>());
    let sink = log.clone();
    watched.add_done_callback(move |_| sink.push("called"));
    let strange = other.add_done_callback(|_| ());
    assert!(!watched.remove_done_callback(strange));
    promise.set_result(1).unwrap();
    yield_now().await;
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["called"]);
}

#[evloop::test]
async fn an_id_of_another_tasks_callback_leaves_the_awaiters_alone() {
    let promise = Promise::new();
    let watched = Rc::new(create_task({
        let promise = promise.clone();
        async move { promise.await.unwrap() }
    }));
    watched.add_done_callback(|_| ());
    let awaiter = create_task({
        let watched = watched.clone();
        async move { (&*watched).await.unwrap() }
    });
    yield_now().await;
    let other = create_task(std::future::pending::<()>());
    for _ in 0..4 {
        let strange = other.add_done_callback(|_| ());
        assert!(!watched.remove_done_callback(strange));
    }
    promise.set_result(1).unwrap();
    assert_eq!(awaiter.await.unwrap(), 1);
}

// What the documentation promises beyond.

#[evloop::test]
async fn a_result_that_was_taken_cannot_be_awaited() {
    let promise = Promise::new();
    promise.set_result(String::from("only one")).unwrap();
    assert_eq!(promise.take_result().unwrap().unwrap(), "only one");
    assert!(promise.take_result().is_none() && promise.result().is_none());
    assert!(promise.done() && promise.set_result(String::new()).is_err());
    let late = create_task(promise.clone());
    let panic = match late.await {
        Err(evloop::TaskError::Panicked(panic)) => panic,
        other => panic!("{other:?}"),
    };
    assert!(panic.message().contains("take_result"), "{panic}");
    // A cancellation stays, however often it is taken.
    let cancelled = Promise::<u8>::new();
    cancelled.cancel();
    assert!(cancelled.take_result().unwrap().is_err());
    assert!(cancelled.take_result().unwrap().is_err());
}

#[evloop::test]
async fn wait_done_needs_no_clone_and_looks_at_no_result() {
    struct NotClone;
    let promise = Promise::new();
    let setter = promise.clone();
    let _ = call_soon(move || drop(setter.set_result(NotClone)));
    promise.wait_done().await;
    assert!(matches!(promise.take_result(), Some(Ok(NotClone))));
}

#[test]
fn without_a_loop_a_done_promise_refuses_callbacks_and_nothing_else() {
    let promise = Promise::new();
    promise.set_result(1).unwrap();
    assert_eq!(promise.result().unwrap().unwrap(), 1);
    assert!(panic_of(|| promise.add_done_callback(|_| ())).contains("no event loop runs"));
}
