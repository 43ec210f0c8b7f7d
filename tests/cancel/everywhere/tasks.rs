//! Awaiting a task: by value, by `&mut`, by `&`.

use std::rc::Rc;

use evloop::testing::{Run, settle};
use evloop::time::secs;
use evloop::{Lock, create_task, sleep};

use super::{Family, begun, dropped, everywhere, others};

#[test]
fn a_task_by_value() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        (create_task(family.child(3)), async move |run: &Run<_>| {
            if dropped(run) || !begun(run) {
                // The handle is gone: the task runs on, detached, unless it has ended.
                let tasks = others();
                sleep(secs(3)).await;
                settle().await;
                assert!(tasks.iter().all(|task| task.done() && !task.cancelled()));
                assert_eq!(family.0.cleanups.get(), 0);
            }
            assert!(others().is_empty());
            family.is_gone();
        })
    });
    assert_eq!(outcomes, ["Ok(3)@3", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}

#[test]
fn a_task_by_mutable_reference() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let task = Rc::new(Lock::new(create_task(family.child(3))));
        let ours = task.clone();
        let body = async move { (&mut *ours.acquire().await).await };
        (body, async move |run: &Run<_>| {
            let mut task = task.acquire().await;
            match run.interruption {
                None => assert!(task.take_result().is_none(), "it was taken"),
                // Only the waiting was given up.
                Some(_) if dropped(run) || !begun(run) => assert_eq!((&mut *task).await.unwrap(), 3),
                Some(interruption) => {
                    assert_eq!(interruption.suspension, 1);
                    assert!(task.done(), "it was waited for");
                }
            }
            assert!(others().is_empty());
            family.is_gone();
        })
    });
    assert_eq!(outcomes, ["Ok(3)@3", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}

#[test]
fn a_task_by_reference() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let task = Rc::new(create_task(family.child(3)));
        let second = create_task({
            let task = task.clone();
            async move { (&*task).await.is_ok() }
        });
        let ours = task.clone();
        (async move { (&*ours).await }, async move |run: &Run<_>| {
            // Whatever became of the first awaiter, the second one is told how the task ended.
            let cancelled = begun(run) && !dropped(run) && !run.is_undisturbed() && task.cancelled();
            assert_eq!(second.await.unwrap(), !cancelled);
            assert_eq!((&*task).await.is_ok(), !cancelled, "and so is who comes later");
            assert!(others().is_empty());
            family.is_gone();
        })
    });
    assert_eq!(outcomes, ["Ok(3)@3", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}
