//! Groups in groups.

use evloop::testing::{self, settle};
use evloop::time::millis;
use evloop::{ErrorGroup, TaskGroup, create_task, current_task, now, on_cancel, yield_now};

use super::{Error, errors, fails_after, long};
use crate::support::{Log, forever_with, yields};

/// What an outer group fails with: an error, or an inner group's.
#[derive(Debug, PartialEq)]
enum Outer {
    One(Error),
    Group(ErrorGroup<Error>),
}

impl From<ErrorGroup<Error>> for Outer {
    fn from(group: ErrorGroup<Error>) -> Self {
        Self::Group(group)
    }
}

fn shape(ended: Result<(), ErrorGroup<Outer>>) -> String {
    let parts = ended.unwrap_err().into_iter().map(|error| match error {
        Outer::One(error) => format!("{error:?}"),
        Outer::Group(group) => format!("{:?}", group.iter().collect::<Vec<_>>()),
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// An inner group whose body is cancelled, and that makes of it an error.
async fn inner_that_fails_when_cancelled() -> Result<(), ErrorGroup<Error>> {
    TaskGroup::try_scope(async |_| on_cancel(long(), async |_| Err(Error::Value)).await).await
}

#[evloop::test]
async fn test_taskgroup_11() {
    let task = create_task(async {
        let outer = TaskGroup::try_scope(async |_| Ok::<_, Outer>(inner_that_fails_when_cancelled().await?));
        shape(outer.await)
    });
    yields(2).await;
    task.cancel();
    assert_eq!(task.await.unwrap(), "[Value]");
}

#[evloop::test]
async fn test_taskgroup_12() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        let ended = TaskGroup::try_scope(async |tg| {
            let held = outer.on_drop("outer child");
            let _ = tg.create_task(async move {
                forever_with(held).await;
                Ok::<_, Outer>(())
            });
            Ok(inner_that_fails_when_cancelled().await?)
        });
        shape(ended.await)
    });
    yields(2).await;
    task.cancel();
    assert_eq!(task.await.unwrap(), "[Value]");
    assert_eq!(log.take(), ["outer child"]);
}

#[evloop::test]
async fn test_taskgroup_13() {
    let (log, start) = (Log::new(), now());
    let ended = TaskGroup::try_scope(async |tg| {
        let _ = tg.create_task(async { fails_after(millis(100), Error::Value).await.map_err(Outer::One) });
        let inner = TaskGroup::scope(async |tg| {
            let held = log.on_drop("inner child");
            let _ = tg.create_task(forever_with(held));
        });
        inner.await;
        Ok(())
    });
    assert_eq!(shape(ended.await), "Value");
    assert_eq!(log.take(), ["inner child"]);
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_taskgroup_14() {
    let log = Log::new();
    let ended = TaskGroup::try_scope(async |tg| {
        let held = log.on_drop("outer child");
        let _ = tg.create_task(async move {
            forever_with(held).await;
            Ok::<_, Outer>(())
        });
        let inner = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(fails_after(millis(100), Error::Value));
            Ok(())
        });
        Ok(inner.await?)
    });
    assert_eq!(shape(ended.await), "[Value]");
    assert_eq!(log.take(), ["outer child"]);
}

/// Both groups are ended by their own children in one iteration. The inner group's errors are handled; what the
/// outer one asked for is still to come, at the next suspension of its body.
#[evloop::test]
async fn test_nested_groups_both_cancelled() {
    let log = Log::new();
    let ended = TaskGroup::try_scope::<(), _>(async |outer| {
        let _ = outer.create_task(async { Err::<(), _>(Error::Type) });
        let inner = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(async { Err::<(), _>(Error::Value) });
            Ok(())
        });
        assert_eq!(errors(inner.await), [Error::Value]);
        log.push(format!("handled, count {}", current_task().unwrap().cancelling()));
        yield_now().await;
        log.push("not reached");
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::Type]);
    assert_eq!(log.take(), ["handled, count 0"]);
    assert_eq!(current_task().unwrap().cancelling(), 0);
}

#[evloop::test(order = "fifo")]
async fn errors_of_nested_groups_are_shown_indented() {
    let ended = TaskGroup::try_scope::<(), ErrorGroup<String>>(async |_| {
        TaskGroup::try_scope(async |tg| {
            let _ = tg.create_task(async { Err::<(), _>(String::from("a")) });
            let _ = tg.create_task(async { Err::<(), _>(String::from("b")) });
            Ok(())
        })
        .await
    });
    let group = ended.await.unwrap_err();
    assert_eq!(group.to_string(), "1 error: 2 errors: a; b");
    assert_eq!(format!("{group:#}"), "1 error:\n  2 errors:\n    a\n    b");
}

/// A chain of tasks, each in a group of the one before.
fn chain(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        TaskGroup::scope(async |tg| {
            if depth > 0 {
                let _ = tg.create_task(chain(depth - 1));
            }
            std::future::pending().await
        })
        .await
    })
}

#[evloop::test]
async fn a_thousand_groups_deep_a_request_arrives_and_a_drop_of_the_loop_does_not_recurse() {
    // In another order each is told again and again, when the loop ends.
    let deep = if testing::seed().is_some() { 100 } else { 1000 };
    let tasks = deep as usize + 2;
    let outermost = create_task(chain(deep));
    settle().await;
    assert_eq!(evloop::all_tasks().len(), tasks);
    outermost.cancel();
    assert!(outermost.await.unwrap_err().is_cancelled());
    assert_eq!(evloop::all_tasks().len(), 1);

    create_task(chain(deep)).detach();
    settle().await;
    assert_eq!(evloop::all_tasks().len(), tasks, "all are left to the loop's end");
}
