//! CPython's `test_futures2`.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::{ContextVar, Promise, Task, call_soon, create_task, get_running_loop, yield_now};

use crate::support::Log;

static NAME: ContextVar<&str> = ContextVar::new("name").with_default(|| "foo");

/// What the exception handler finds in `NAME`.
fn names_seen() -> Log {
    let log = Log::new();
    let sink = log.clone();
    get_running_loop().unwrap().set_exception_handler(move |_| sink.push(NAME.get().unwrap()));
    log
}

#[evloop::test(order = "fifo")]
async fn test_task_exc_handler_correct_context() {
    let seen = names_seen();
    let fails = || async {
        NAME.set("bar");
        panic!("in vain");
    };
    create_task(fails()).detach();
    yield_now().await;
    assert_eq!(seen.take(), ["bar"]);
    // Ours: also if the handle goes later.
    let task: Task<()> = create_task(fails());
    yield_now().await;
    assert!(seen.is_empty());
    drop(task);
    assert_eq!((seen.take(), NAME.get()), (vec!["bar".to_owned()], Some("foo")));
}

#[evloop::test(order = "fifo")]
async fn test_handle_exc_handler_correct_context() {
    let seen = names_seen();
    call_soon(|| {
        NAME.set("bar");
        panic!("in vain");
    });
    yield_now().await;
    assert_eq!((seen.take(), NAME.get()), (vec!["bar".to_owned()], Some("foo")));
}

#[evloop::test]
async fn test_recursive_repr_for_pending_tasks() {
    // The task waits for a promise of its own handle: a circle, and no text follows it.
    let promise = Promise::<Rc<RefCell<Option<Task<()>>>>>::new();
    let handle = Rc::new(RefCell::new(None));
    let task = create_task({
        let promise = promise.clone();
        async move { drop(promise.await) }
    });
    task.set_name("recursive");
    *handle.borrow_mut() = Some(task);
    settle().await;
    let text = format!("{handle:?}");
    assert!(text.contains("recursive") && text.contains("pending"), "{text}");
    assert_eq!(format!("{promise:?}"), "Promise { state: pending, observers: 1 }");
    promise.set_result(handle.clone()).unwrap();
    assert_eq!(format!("{promise:?}"), "Promise { state: set, observers: 0 }");
    let task = handle.borrow_mut().take().unwrap();
    task.await.unwrap();
}
