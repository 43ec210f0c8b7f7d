//! Children that end well: what the group waits for, and who may add to it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{Promise, TaskGroup, create_task, current_task, now, sleep, yield_now};

use super::{Error, errors, fails_after, long};
use crate::support::{Log, panic_of, poll_once, reports, yields};

#[evloop::test]
async fn test_taskgroup_01() {
    let start = now();
    let (one, two) = TaskGroup::scope(async |tg| {
        let one = tg.create_task(async {
            sleep(millis(100)).await;
            42
        });
        let two = tg.create_task(async {
            sleep(millis(200)).await;
            11
        });
        (one.unwrap(), two.unwrap())
    })
    .await;
    assert_eq!(now() - start, millis(200));
    assert_eq!((one.result().unwrap().unwrap(), two.result().unwrap().unwrap()), (&42, &11));
}

#[evloop::test]
async fn test_taskgroup_02() {
    let start = now();
    let (one, two) = TaskGroup::scope(async |tg| {
        let one = tg.create_task(async {
            sleep(millis(100)).await;
            42
        });
        sleep(millis(200)).await;
        let two = tg.create_task(async {
            sleep(millis(200)).await;
            11
        });
        (one.unwrap(), two.unwrap())
    })
    .await;
    assert_eq!(now() - start, millis(400));
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (42, 11));
}

#[evloop::test]
async fn test_taskgroup_03() {
    let (one, two) = TaskGroup::scope(async |tg| {
        let one = tg.create_task(async {
            sleep(secs(10)).await;
            42
        });
        let one = one.unwrap();
        sleep(millis(100)).await;
        one.cancel();
        let two = tg.create_task(async {
            sleep(millis(200)).await;
            11
        });
        (one, two.unwrap())
    })
    .await;
    assert!(one.cancelled());
    assert_eq!(two.await.unwrap(), 11);
}

#[evloop::test]
async fn test_taskgroup_23() {
    TaskGroup::scope(async |tg| {
        let forgotten = Rc::new(());
        let held = forgotten.clone();
        let _ = tg.create_task(async move { drop(held) });
        assert_eq!(tg.len(), 1);
        settle().await;
        assert_eq!(Rc::strong_count(&forgotten), 1);
        assert!(tg.is_empty(), "a finished child is forgotten at once");
    })
    .await;
}

#[evloop::test]
async fn test_taskgroup_24() {
    async fn root(tg: TaskGroup, depth: u32, ended: Rc<Cell<u32>>) {
        for _ in 0..2 {
            if depth > 0 {
                tg.create_task(Box::pin(root(tg.clone(), depth - 1, ended.clone()))).unwrap().detach();
            }
        }
        sleep(millis(10)).await;
        ended.set(ended.get() + 1);
    }
    let ended = Rc::new(Cell::new(0));
    TaskGroup::scope(async |tg| {
        tg.create_task(root(tg.clone(), 3, ended.clone())).unwrap().detach();
    })
    .await;
    assert_eq!(ended.get(), 15);
}

#[evloop::test]
async fn test_taskgroup_25() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        async fn hydra(tg: evloop::TryTaskGroup<Error>, born: Rc<Cell<u32>>) -> Result<(), Error> {
            born.set(born.get() + 1);
            yield_now().await;
            for _ in 0..2 {
                // Refused once the group is ending.
                let _ = tg.create_task(Box::pin(hydra(tg.clone(), born.clone())) as LocalBox);
            }
            sleep(secs(3600)).await;
            Ok(())
        }
        type LocalBox = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>>>>;
        let born = Rc::new(Cell::new(0));
        let _ = tg.create_task(hydra(tg.clone(), born.clone()));
        let counted = born.clone();
        let _ = tg.create_task(async move {
            while counted.get() < 63 {
                yield_now().await;
            }
            Err::<(), _>(Error::Value)
        });
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::Value]);
    assert_eq!(evloop::all_tasks().len(), 1, "all of them have ended");
}

#[evloop::test]
async fn test_taskgroup_task_name() {
    TaskGroup::scope(async |tg| {
        let task = tg.create_task(async { current_task().unwrap().name().to_string() }).unwrap();
        task.set_name("yolo");
        assert_eq!(task.await.unwrap(), "yolo");
    })
    .await;
}

#[evloop::test]
async fn test_taskgroup_no_create_task_after_failure() {
    let log = Log::new();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(fails_after(millis(1), Error::ZeroDivision));
        let (adds, held) = (tg.clone(), log.on_drop("refused and dropped"));
        let log = log.clone();
        let waiting = long();
        let _ = tg.create_task(evloop::on_cancel(waiting, async move |c| {
            let late = adds.create_task(async move {
                drop(held);
                Ok(())
            });
            assert!(late.is_err());
            log.push("in the cleanup");
            c.rethrow().await
        }));
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::ZeroDivision]);
    assert_eq!(log.take(), ["refused and dropped", "in the cleanup"]);
}

#[evloop::test]
async fn test_taskgroup_finished() {
    let tg = TaskGroup::scope(async |tg| tg).await;
    let log = Log::new();
    let held = log.on_drop("dropped unpolled");
    let refused = tg.create_task(async move {
        drop(held);
        unreachable!()
    });
    assert!(refused.is_err());
    assert!(refused.unwrap_err().to_string().contains("has ended"));
    assert_eq!(log.take(), ["dropped unpolled"]);
}

#[evloop::test]
async fn test_coro_closed_when_tg_closed() {
    let reports = reports();
    let dropped = Rc::new(());
    let tg = TaskGroup::scope(async |tg| tg).await;
    let held = dropped.clone();
    assert!(tg.create_task(async move { drop(held) }).is_err());
    assert_eq!(Rc::strong_count(&dropped), 1);
    yields(2).await;
    assert!(reports.is_empty());
}

#[test]
fn test_taskgroup_without_parent_task() {
    use std::task::{Context, Waker};
    let text = panic_of(|| {
        let group = std::pin::pin!(TaskGroup::scope(async |tg| {
            let _ = tg.create_task(async {});
        }));
        group.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
    assert!(text.contains("no event loop runs"), "{text}");
}

#[evloop::test]
async fn a_child_may_be_added_while_the_group_waits() {
    let (start, added) = (now(), Rc::new(Cell::new(false)));
    TaskGroup::scope(async |tg| {
        let (group, added) = (tg.clone(), added.clone());
        let _ = tg.create_task(async move {
            sleep(secs(1)).await;
            let task = group.create_task(async move {
                sleep(secs(2)).await;
                added.set(true);
            });
            task.unwrap().detach();
        });
    })
    .await;
    assert!(added.get());
    assert_eq!(now() - start, secs(3));
}

#[evloop::test]
async fn a_child_may_be_added_between_the_last_ones_end_and_the_groups() {
    let log = Log::new();
    TaskGroup::scope(async |tg| {
        let (group, own) = (tg.clone(), log.clone());
        let task = tg.create_task(async {}).unwrap();
        // Called in the iteration in which the group hears of the end.
        task.add_done_callback(move |_| {
            let task = group.create_task(async move {
                sleep(secs(1)).await;
                own.push("added");
            });
            task.unwrap().detach();
        });
    })
    .await;
    assert_eq!(log.take(), ["added"]);
}

#[evloop::test]
async fn the_body_may_borrow_and_children_may_be_awaited_in_it() {
    let words = [String::from("a"), String::from("b")];
    let joined = TaskGroup::scope(async |tg| {
        let promise = Promise::new();
        let setter = promise.clone();
        let task = tg.create_task(async move { setter.set_result("c").is_ok() }).unwrap();
        assert!(task.await.unwrap());
        format!("{}{}", words.join(""), promise.await.unwrap())
    });
    assert_eq!(joined.await, "abc");
}

#[evloop::test]
async fn a_group_without_children_costs_no_iteration() {
    let before = crate::support::tick();
    assert_eq!(TaskGroup::scope(async |_| 5).await, 5);
    assert_eq!(crate::support::tick(), before);
}

#[evloop::test]
async fn a_group_shows_how_it_is() {
    let tg = TaskGroup::scope(async |tg| {
        let _ = tg.create_task(sleep(secs(1)));
        assert_eq!(format!("{tg:?}"), "TaskGroup { tasks: 1, open: true }");
        tg
    })
    .await;
    assert_eq!(format!("{tg:?}"), "TaskGroup { tasks: 0, open: false }");
    let _: Result<(), _> = TaskGroup::try_scope(async |tg| {
        assert_eq!(format!("{tg:?}"), "TryTaskGroup { tasks: 0, open: true }");
        Err(Error::Value)
    })
    .await;
}

#[evloop::test]
async fn a_task_outside_of_the_group_is_not_waited_for() {
    let start = now();
    let outside = create_task(sleep(secs(5)));
    TaskGroup::scope(async |tg| {
        let _ = tg.create_task(sleep(secs(1)));
    })
    .await;
    assert_eq!(now() - start, secs(1));
    assert!(!outside.done());
}

#[evloop::test]
async fn a_handle_that_outlives_its_group_keeps_no_waker() {
    struct Quiet;
    impl Wake for Quiet {
        fn wake(self: Arc<Self>) {}
    }
    let (awaiter, mut handle) = (Arc::new(Quiet), None);
    let group = TaskGroup::scope(async |tg| {
        handle = Some(tg);
        yield_now().await;
    });
    let mut group = Box::pin(group);
    let waker = Waker::from(awaiter.clone());
    assert!(poll_once(&mut group, &mut Context::from_waker(&waker)).is_pending());
    assert!(poll_once(&mut group, &mut Context::from_waker(&waker)).is_ready());
    drop((group, waker));
    assert_eq!(Arc::strong_count(&awaiter), 1);
    assert!(handle.is_some());
}
