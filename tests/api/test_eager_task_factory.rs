//! CPython's `test_eager_task_factory`: each on a loop whose tasks are eager by default, and by the builder.
//!
//! What is asserted of the loop's `call_soon` there is asserted here of its iterations: none passes.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::time::millis;
use evloop::{
    Clock, ContextVar, EventLoop, Promise, Runner, Task, TaskGroup, all_tasks, create_task, current_task,
    gather, sleep, yield_now,
};

use crate::support::tick;

/// Runs a test on a loop whose tasks are eager.
fn eagerly<T>(test: impl Future<Output = T>) -> T {
    let event_loop = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    Runner::builder().event_loop(event_loop).eager_tasks(true).build().unwrap().run(test).unwrap()
}

#[test]
fn test_await_future_during_eager_step() {
    eagerly(async {
        let promise = Promise::new();
        let setter = promise.clone();
        let task = create_task(async move { setter.set_result("my message").unwrap() });
        assert!(task.done());
        assert_eq!(promise.await.unwrap(), "my message");
    });
}

#[test]
fn test_eager_completion() {
    eagerly(async {
        let before = tick();
        let task = create_task(async { "hello" });
        assert!(task.done());
        assert_eq!((task.await.unwrap(), tick()), ("hello", before));
        // Without the loop's word, too.
        assert!(Task::builder().eager(true).spawn(async {}).done());
    });
}

#[test]
fn test_block_after_eager_step() {
    eagerly(async {
        let task = create_task(async {
            sleep(millis(100)).await;
            "finished after blocking"
        });
        assert!(!task.done());
        assert_eq!(task.await.unwrap(), "finished after blocking");
    });
}

#[test]
fn test_cancellation_after_eager_completion() {
    eagerly(async {
        let task = create_task(async { "finished without blocking" });
        assert!(!task.cancel_with("for some reason"), "it has no effect any more");
        assert_eq!(task.await.unwrap(), "finished without blocking");
    });
}

#[test]
fn test_cancellation_after_eager_step_blocks() {
    eagerly(async {
        let task = create_task(sleep(millis(100)));
        assert!(!task.done());
        task.cancel_with("cancel message");
        assert_eq!(task.cancelling(), 1);
        let error = task.await.unwrap_err();
        assert!(error.is_cancelled() && error.to_string().contains("cancel message"), "{error}");
    });
}

#[test]
fn test_current_task() {
    eagerly(async {
        let main = current_task();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sees = seen.clone();
        let task = create_task(async move {
            sees.borrow_mut().push(current_task());
            yield_now().await;
            sees.borrow_mut().push(current_task());
        });
        assert_eq!(current_task(), main);
        let task_ref = task.task_ref();
        task.await.unwrap();
        assert_eq!(*seen.borrow(), [Some(task_ref.clone()), Some(task_ref)]);
        assert_eq!(current_task(), main);
    });
}

#[test]
fn test_all_tasks_with_eager_completion() {
    eagerly(async {
        let task = create_task(async { (all_tasks(), current_task().unwrap()) });
        let (during, me) = task.await.unwrap();
        assert!(during.contains(&me));
        assert!(!all_tasks().contains(&me));
    });
}

#[test]
fn test_all_tasks_with_blocking() {
    eagerly(async {
        let (fut1, fut2) = (Promise::<bool>::new(), Promise::<bool>::new());
        let t1 = create_task({
            let (fut1, fut2) = (fut1.clone(), fut2.clone());
            async move {
                fut1.set_result(true).unwrap();
                assert!(fut2.await.unwrap());
            }
        });
        assert!(fut1.await.unwrap());
        assert!(all_tasks().contains(&t1) && !t1.done());
        fut2.set_result(true).unwrap();
        t1.await.unwrap();
    });
}

#[test]
fn test_context_vars() {
    static CV: ContextVar<u32> = ContextVar::new("cv").with_default(|| 0);
    eagerly(async {
        CV.set(1);
        let task = create_task(async {
            assert_eq!(CV.get(), Some(1));
            CV.set(2);
            assert_eq!(CV.get(), Some(2));
            yield_now().await;
            assert_eq!(CV.get(), Some(2));
            CV.set(3);
        });
        assert_eq!(CV.get(), Some(1));
        CV.set(4);
        task.await.unwrap();
        assert_eq!(CV.get(), Some(4));
    });
}

#[test]
fn test_awaitables_chain() {
    eagerly(async {
        fn counts_down(n: u32) -> std::pin::Pin<Box<dyn Future<Output = u32>>> {
            Box::pin(async move { if n == 0 { 0 } else { 1 + counts_down(n - 1).await } })
        }
        let task = create_task(async { (counts_down(100).await, all_tasks().len()) });
        assert!(task.done());
        assert_eq!(task.await.unwrap(), (100, 2), "this one and main");
    });
}

#[test]
fn test_recursive_taskgroups() {
    async fn recurse(depth: u32, sum: Rc<RefCell<u32>>) {
        *sum.borrow_mut() += 1;
        if depth > 0 {
            TaskGroup::scope(async |tg| {
                for _ in 0..2 {
                    let child: std::pin::Pin<Box<dyn Future<Output = ()>>> =
                        Box::pin(recurse(depth - 1, sum.clone()));
                    assert!(tg.create_task(child).unwrap().done());
                }
            })
            .await;
        }
    }
    eagerly(async {
        let (before, sum) = (tick(), Rc::new(RefCell::new(0)));
        recurse(5, sum.clone()).await;
        assert_eq!((*sum.borrow(), tick()), (63, before));
    });
}

#[test]
fn test_recursive_gather() {
    fn recurse(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u32>>> {
        Box::pin(async move {
            if depth == 0 {
                return 1;
            }
            let (one, two) = gather((recurse(depth - 1), recurse(depth - 1))).await.unwrap();
            1 + one + two
        })
    }
    eagerly(async {
        let before = tick();
        assert_eq!((recurse(5).await, tick()), (63, before));
    });
}
