//! Children that have their first step at once, and children with settings.

use std::cell::Cell;
use std::rc::Rc;

use evloop::context::Context;
use evloop::time::secs;
use evloop::{ContextVar, Task, TaskError, TaskGroup, current_task, sleep, yield_now};

use super::{Error, errors, long};
use crate::support::{Log, tick};

#[evloop::test]
async fn test_taskgroup_task_context() {
    static CVAR: ContextVar<&str> = ContextVar::new("cvar");
    let context = Context::new();
    TaskGroup::scope(async |tg| {
        let first = tg.create_task_with(Task::builder().context(&context), async {
            CVAR.set("set by the first");
        });
        first.unwrap().await.unwrap();
        let second = Task::builder().context(&context).name("second");
        let second = tg.create_task_with(second, async { (current_task().unwrap().name(), CVAR.get()) });
        assert_eq!(second.unwrap().await.unwrap(), ("second".into(), Some("set by the first")));
    })
    .await;
    assert_eq!((context.get(&CVAR), CVAR.get()), (Some("set by the first"), None));
}

#[evloop::test(order = "fifo")]
async fn taskgroup_cancel_by_an_eager_child() {
    let log = Log::new();
    let ended = TaskGroup::cancellable(async |tg| {
        let sibling = log.on_drop("sibling");
        let _ = tg.create_task(async move {
            sleep(secs(3600)).await;
            drop(sibling);
        });
        let (group, own) = (tg.clone(), log.on_drop("child"));
        let child = tg.create_task_with(Task::builder().eager(true), async move {
            group.cancel();
            sleep(secs(3600)).await;
            drop(own);
        });
        let child = child.unwrap();
        assert!(!child.done() && child.cancelling() == 1, "cancelled, too, although nobody knew it yet");
        assert!(tg.create_task(async {}).is_err());
        sleep(secs(3600)).await;
    });
    assert_eq!(ended.await, None);
    assert_eq!(log.take(), ["sibling", "child"]);
}

#[evloop::test]
async fn taskgroup_with_a_failing_eager_child() {
    let eager = || Task::builder().eager(true);
    let failed = TaskGroup::try_scope(async |tg| {
        let _ = tg.create_task(long());
        let child = tg.create_task_with(eager(), async { Err::<(), _>(Error::Value) }).unwrap();
        assert!(child.done() && child.cancelled());
        assert!(tg.create_task(async { Ok(()) }).is_err(), "the group is ending");
        Ok(())
    });
    assert_eq!(errors(failed.await), [Error::Value]);
    assert_eq!(current_task().unwrap().cancelling(), 0);
    // The body is not disturbed in its own step, but in the next one.
    let (before, after) = (tick(), Rc::new(Cell::new(0)));
    let failed = TaskGroup::try_scope(async |tg| {
        let _ = tg.create_task_with(eager(), async { Err::<(), _>(Error::Key) });
        after.set(tick());
        yield_now().await;
        unreachable!("the body is cancelled");
        #[allow(unreachable_code, reason = "it gives the type")]
        Ok(())
    });
    assert_eq!(errors(failed.await), [Error::Key]);
    assert_eq!((after.get(), tick()), (before, before + 1));
    // No cancellation has leaked out of it.
    yield_now().await;
    sleep(secs(1)).await;
}

#[evloop::test]
async fn a_failing_eager_child_of_a_child_ends_all_the_same() {
    let failed = TaskGroup::try_scope(async |tg| {
        let group = tg.clone();
        let _ = tg.create_task(async move {
            yield_now().await;
            let _ = group.create_task_with(Task::builder().eager(true), async { Err::<(), _>(Error::Type) });
            long().await
        });
        long().await
    });
    assert_eq!(errors(failed.await), [Error::Type]);
}

#[evloop::test]
async fn an_eager_child_that_panics_ends_its_group_and_not_its_creator() {
    let reached = Rc::new(Cell::new(false));
    let body = {
        let reached = reached.clone();
        TaskGroup::scope(async move |tg| {
            let child: Task<()> =
                tg.create_task_with(Task::builder().eager(true), async { panic!("at once") }).unwrap();
            assert!(child.done());
            reached.set(true);
            sleep(secs(3600)).await;
        })
    };
    let outer = evloop::create_task(body);
    let error = outer.await.unwrap_err();
    assert!(matches!(&error, TaskError::Panicked(panic) if panic.message() == "at once"), "{error}");
    assert!(reached.get());
}

#[evloop::test]
async fn an_eager_child_may_add_children_and_stand_in_line() {
    let log = Log::new();
    TaskGroup::builder()
        .limit(2)
        .scope(async |tg| {
            let eager = || Task::builder().eager(true);
            let (group, sink) = (tg.clone(), log.clone());
            let first = tg.create_task_with(eager(), async move {
                sink.push("first");
                for name in ["second", "third"] {
                    let sink = sink.clone();
                    let child = group.create_task_with(eager(), async move {
                        sink.push(name);
                        yield_now().await;
                    });
                    assert!(!child.unwrap().done());
                }
                assert_eq!(group.len(), 3);
                sink.push("first ends");
            });
            assert!(first.unwrap().done());
            assert_eq!(
                (tg.len(), log.take()),
                (2, vec!["first".into(), "second".into(), "first ends".into()])
            );
        })
        .await;
    assert_eq!(log.take(), ["third"], "when a slot was free");
}
