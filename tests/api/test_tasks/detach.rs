//! `detach_reporting`: the error of a task that nobody awaits is told to the exception handler.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{Task, create_task, get_running_loop, sleep};

use crate::support::{Log, virtual_loop, yields};

/// From now on, what the handler is told: message, cause, task.
fn told() -> Log {
    let log = Log::new();
    let sink = log.clone();
    get_running_loop().unwrap().set_exception_handler(move |context| {
        sink.push(format!("{}: {:?}", context, context.task_name().is_some()));
    });
    log
}

#[evloop::test]
async fn an_error_is_told_when_the_task_ends() {
    let told = told();
    let task = create_task(async {
        sleep(secs(1)).await;
        Err::<(), _>(format!("no {}", "luck"))
    });
    task.set_name("sad");
    task.detach_reporting();
    sleep(secs(1)).await;
    yields(2).await;
    assert_eq!(told.take(), ["a detached task failed (task sad): \"no luck\": true"]);
}

#[evloop::test]
async fn an_error_of_a_task_that_has_ended_is_told_too() {
    let told = told();
    let task = create_task(async { Err::<(), _>(7) });
    task.set_name("over");
    settle().await;
    task.detach_reporting();
    settle().await;
    assert_eq!(told.take(), ["a detached task failed (task over): 7: true"]);
}

#[evloop::test]
async fn a_panic_is_told_once() {
    evloop::get_running_loop().unwrap().set_debug(false); // it would name the place, too
    let told = told();
    let task = create_task(async { panic!("bad") as Result<(), ()> });
    task.set_name("mad");
    task.detach_reporting();
    yields(3).await;
    assert_eq!(told.take(), ["a task panicked and nobody awaited it (task mad): bad: true"]);
}

#[evloop::test]
async fn values_cancellations_and_what_was_taken_are_not_told() {
    let (told, log) = (told(), Log::new());
    let value = log.on_drop("value dropped");
    create_task(async move { Ok::<_, ()>(value) }).detach_reporting();
    let cancelled: Task<Result<(), ()>> = create_task(std::future::pending());
    cancelled.cancel();
    cancelled.detach_reporting();
    let mut taken = create_task(async { Err::<(), _>(1) });
    assert!((&mut taken).await.unwrap().is_err());
    taken.detach_reporting();
    create_task(async { Err::<(), _>(2) }).detach();
    yields(3).await;
    assert!(told.is_empty(), "{:?}", told.take());
    assert_eq!(log.take(), ["value dropped"]);
}

#[evloop::test]
async fn an_error_whose_debug_panics_does_no_harm() {
    struct Bad;
    impl std::fmt::Debug for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("in its debug")
        }
    }
    let told = told();
    create_task(async { Err::<(), _>(Bad) }).detach_reporting();
    yields(3).await;
    assert_eq!(told.take(), ["a callback panicked: in its debug: false"]);
}

#[test]
fn an_error_is_told_even_if_the_loop_ends_before_the_callbacks_turn() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut event_loop = virtual_loop();
    event_loop.handle().set_exception_handler({
        let told = told.clone();
        move |context| told.borrow_mut().push(context.to_string())
    });
    let task = event_loop.handle().create_task(async { Err::<(), _>("last words") });
    task.set_name("T");
    let running = event_loop.handle().create_task(std::future::pending::<Result<(), ()>>());
    running.detach_reporting();
    event_loop.run_once(None).unwrap();
    assert!(task.done());
    task.detach_reporting();
    drop(event_loop);
    assert_eq!(*told.borrow(), ["a detached task failed (task T): \"last words\""]);
}
