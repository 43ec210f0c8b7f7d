//! Waiting without taking part: `wait`, `as_completed` and `shield`: O30 and O34.

use std::rc::Rc;

use evloop::{
    AllCompleted, FirstCompleted, Task, Waited, as_completed, catch_cancel, create_task, shield, wait,
    yield_now,
};

use crate::trace::{Trace, yields};

/// O30. `wait(FIRST_COMPLETED)` on a, b, c, which end in one tick, and slow. The answer is computed when
/// the waiter resumes, so it holds everything done by then.
///
/// CPython: `3:a | 3:b | 3:c | 5:done ['a', 'b', 'c'] pending ['slow']`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o30_wait_answers_with_all_that_is_done_when_it_resumes() {
    async fn body(trace: Trace, name: &'static str) {
        yield_now().await;
        trace.log(name);
    }
    fn names(part: &[&Task<()>]) -> Vec<String> {
        part.iter().map(|task| task.name().to_string()).collect()
    }
    let trace = Trace::new();
    let mut tasks: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let task = create_task(body(trace.clone(), name));
            task.set_name(name);
            task
        })
        .into();
    tasks.push(create_task(yields(9)));
    tasks[3].set_name("slow");
    let Waited { done, pending } = wait(&tasks, FirstCompleted, None).await;
    trace.log(format_args!("done {:?} pending {:?}", names(&done), names(&pending)));
    assert_eq!(trace.take(), ["3:a", "3:b", "3:c", r#"5:done ["a", "b", "c"] pending ["slow"]"#]);
}

/// O30. `as_completed` of a (3 extra ticks), b and d (one each). Order of completion, and no suspension
/// while finished ones are queued.
///
/// CPython: `3:b end | 3:d end | 5:a end | 5:yield b | 5:yield d | 7:yield a`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o30_as_completed_yields_in_order_of_completion() {
    async fn body(trace: Trace, name: &'static str, ticks: u32) -> &'static str {
        yields(ticks).await;
        trace.log(format_args!("{name} end"));
        name
    }
    let trace = Trace::new();
    let completed =
        as_completed([("a", 3), ("b", 1), ("d", 1)].map(|(name, ticks)| body(trace.clone(), name, ticks)));
    while let Some(task) = completed.next().await {
        trace.log(format_args!("yield {}", task.result().unwrap().unwrap()));
    }
    assert_eq!(trace.take(), ["3:b end", "3:d end", "5:a end", "5:yield b", "5:yield d", "7:yield a"]);
}

/// O34. outer awaits `shield(inner)`; cancel outer. Only the shield is dropped, inner never notices.
///
/// CPython: `2:cancelled outer | 3:outer cancelled; inner.done False | 5:outer task cancelled |
/// 6:inner done | 7:inner -> value`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o34_a_shielded_task_does_not_notice_a_cancellation() {
    let trace = Trace::new();
    let inner = Rc::new(create_task({
        let trace = trace.clone();
        async move {
            yields(4).await;
            trace.log("inner done");
            "value"
        }
    }));
    let outer = create_task({
        let (trace, inner) = (trace.clone(), inner.clone());
        async move {
            if let Err(cancellation) = catch_cancel(shield(&*inner)).await {
                trace.log(format_args!("outer cancelled; inner.done {}", inner.done()));
                cancellation.rethrow().await
            }
        }
    });
    yield_now().await;
    outer.cancel();
    trace.log("cancelled outer");
    wait([&outer], AllCompleted, None).await;
    if outer.cancelled() {
        trace.log("outer task cancelled");
    }
    let value = (&*inner).await.unwrap();
    trace.log(format_args!("inner -> {value}"));
    assert_eq!(
        trace.take(),
        [
            "2:cancelled outer",
            "3:outer cancelled; inner.done false",
            "5:outer task cancelled",
            "6:inner done",
            "7:inner -> value"
        ]
    );
}
