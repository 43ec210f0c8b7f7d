//! CPython's `test_futures2`.
//!
//! Not ported: `test_task_exc_handler_correct_context`, `test_handle_exc_handler_correct_context` (no context
//! variables yet).

use std::cell::RefCell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Promise, Task, create_task};

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
