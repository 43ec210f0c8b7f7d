//! Task groups, blocks with a deadline, and what waits for tasks without touching them.

use evloop::testing::{Run, settle};
use evloop::time::secs;
use evloop::{FirstCompleted, Task, TaskGroup, as_completed, create_task, now, shield, sleep, timeout, wait};

use super::{Family, begun, dropped, everywhere, others};

#[test]
fn a_group_whose_children_end_well() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let children = [family.child(1), family.child(3)];
        let group = TaskGroup::scope(async |tg| {
            for child in children {
                let _ = tg.create_task(child);
            }
            "body"
        });
        (group, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(outcomes, [r#""body"@3"#, "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}

#[test]
fn a_group_whose_body_waits() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let (child, late) = (family.child(1), family.child(1));
        let group = TaskGroup::scope(async |tg| {
            let _ = tg.create_task(child);
            sleep(secs(2)).await;
            let _ = tg.create_task(late);
        });
        (group, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@3",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn a_group_with_a_failure() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let (failing, other) = (family.child(1), family.child(9));
        let group = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(async {
                failing.await;
                Err::<(), _>("failed")
            });
            let _ = tg.create_task(async { Ok(other.await) });
            sleep(secs(9)).await;
            Ok(())
        });
        (group, async move |run: &Run<_>| {
            if run.is_undisturbed() || !begun(run) {
                family.has_ended(run).await;
            }
            if dropped(run) {
                sleep(secs(1)).await;
                settle().await;
            }
            assert!(others().is_empty());
            assert_eq!(family.0.running.get(), 0);
        })
    });
    let failed = r#"Err(ErrorGroup(["failed"]))"#;
    assert_eq!(
        outcomes,
        [
            format!("{failed}@2"),
            "0: Cancelled@0".to_owned(),
            "1: Cancelled@1".to_owned(),
            // The failure came first, and the errors are returned. A request that comes while the other child cleans up
            // cuts that.
            format!("2: {failed}@1"),
            format!("1 woken: {failed}@2"),
            format!("2 woken: {failed}@2"),
        ]
    );
}

#[test]
fn a_cancellable_group_that_is_cancelled() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let child = family.child(9);
        let group = TaskGroup::cancellable(async |tg| {
            let _ = tg.create_task(child);
            let group = tg.clone();
            let _ = tg.create_task(async move {
                sleep(secs(1)).await;
                group.cancel();
            });
            sleep(secs(9)).await;
        });
        (group, async move |run: &Run<_>| {
            if dropped(run) {
                sleep(secs(1)).await;
                settle().await;
            }
            assert!(others().is_empty());
            assert_eq!(family.0.running.get(), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "None@2",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@1",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@2"
        ]
    );
}

#[test]
fn a_group_with_a_limit() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let children = [family.child(1), family.child(1), family.child(1)];
        let group = TaskGroup::builder().limit(1).scope(async |tg| {
            for child in children {
                tg.wait_for_room().await;
                let _ = tg.create_task(child);
            }
        });
        (group, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@2",
            "3: Cancelled@3",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@2",
            "3 woken: Cancelled@3"
        ]
    );
}

#[test]
fn a_block_whose_deadline_moves() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let child = family.child(9);
        let block = timeout(secs(1), async |t| {
            t.reschedule(now() + secs(2)).unwrap();
            child.await
        });
        (block, async move |_: &Run<_>| assert_eq!(family.0.running.get(), 0))
    });
    assert_eq!(
        outcomes,
        [
            "Err(TimeoutError)@3",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@2",
            "3: Cancelled@2",
            "1 woken: Cancelled@3",
            "2 woken: Cancelled@2",
            "3 woken: Cancelled@3"
        ]
    );
}

/// What waits for these tasks does nothing to them: they end in their own time.
async fn untouched(tasks: Vec<Task<u64>>) {
    for task in tasks {
        assert_eq!(task.cancelling(), 0);
        assert!(task.await.is_ok());
    }
}

#[test]
fn wait_for_the_first() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let tasks: Vec<_> = [1, 3].map(|seconds| create_task(family.child(seconds))).into();
        let refs: Vec<_> = tasks.iter().map(|task| task.task_ref()).collect();
        let waiting = async move { wait(&refs, FirstCompleted, None).await.done.len() };
        (waiting, async move |_: &Run<_>| untouched(tasks).await)
    });
    assert_eq!(outcomes, ["1@1", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@1"]);
}

#[test]
fn as_completed_of_two() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let all = as_completed([family.child(2), family.child(1)]);
        let taking = async move {
            let mut ended = Vec::new();
            while let Some(task) = all.next().await {
                ended.push(task.await.unwrap());
            }
            ended
        };
        (taking, async move |_: &Run<_>| {
            // Those that are left run on.
            assert!(others().iter().all(|task| task.cancelling() == 0));
            sleep(secs(2)).await;
            settle().await;
            assert!(others().is_empty());
        })
    });
    assert_eq!(
        outcomes,
        [
            "[1, 2]@2",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@2"
        ]
    );
}

#[test]
fn shield_of_a_task() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let task = create_task(family.child(2));
        let shielded = task.task_ref();
        let waiting = shield(task);
        (async { waiting.await.unwrap() }, async move |_: &Run<_>| {
            assert_eq!(shielded.cancelling(), 0);
            sleep(secs(2)).await;
            settle().await;
            assert!(shielded.done() && !shielded.cancelled());
        })
    });
    assert_eq!(outcomes, ["2@2", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@2"]);
}
