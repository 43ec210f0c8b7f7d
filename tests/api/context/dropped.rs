//! In which context destructors run: of futures, of outputs, and of callbacks that are not called.

use std::rc::Rc;

use evloop::context::Context;
use evloop::{ContextVar, Task, call_soon, create_task, get_running_loop, yield_now};

use crate::support::{Log, OnDrop, forever_with, reports, virtual_loop};

use super::X;

/// Notes what it sees where it is dropped, and sets another value there.
fn notes(log: &Log, name: &'static str) -> OnDrop<impl FnOnce() + use<>> {
    let log = log.clone();
    OnDrop::new(move || {
        log.push(format!("{name} {:?}", X.get()));
        X.set(99);
    })
}

#[evloop::test(order = "fifo")]
async fn an_output_that_nobody_takes_is_dropped_where_its_future_was() {
    let (log, given) = (Log::new(), Context::new());
    X.set(1);
    let own = {
        let log = log.clone();
        async move {
            X.set(2);
            (notes(&log, "output"), drop(notes(&log, "inside"))).0
        }
    };
    create_task(own).detach();
    yield_now().await;
    assert_eq!((log.take(), X.get()), (vec!["inside Some(2)".into(), "output Some(99)".to_owned()], Some(1)));

    let output = notes(&log, "given");
    Task::builder().context(&given).spawn(async move { output }).detach();
    yield_now().await;
    assert_eq!(log.take(), ["given None"]);
    assert_eq!((given.get(&X), X.get()), (Some(99), Some(1)), "that very one");
}

#[evloop::test(order = "fifo")]
async fn an_output_that_somebody_has_is_dropped_by_him() {
    let log = Log::new();
    let of_task = |value: u32, name: &'static str| {
        let output = notes(&log, name);
        create_task(async move { (X.set(value), output).1 })
    };
    let (kept, taken) = (of_task(2, "with its handle"), of_task(3, "taken"));
    let taken = taken.await.unwrap();
    assert!(kept.done());
    X.set(1);
    drop(kept);
    assert_eq!((log.take(), X.get()), (vec!["with its handle Some(1)".to_owned()], Some(99)));
    drop(taken);
    assert_eq!(log.take(), ["taken Some(99)"]);
}

/// As in asyncio, where callbacks are scheduled when the result is there, and the result goes with the task.
#[evloop::test(order = "fifo")]
async fn what_an_outputs_destructor_schedules_comes_after_those_who_were_told_of_the_end() {
    let log = Log::new();
    X.set(1);
    let output = OnDrop::new({
        let log = log.clone();
        move || drop(call_soon(move || log.push("scheduled by the destructor")))
    });
    let task = create_task(async move { output });
    task.add_done_callback({
        let log = log.clone();
        move |task| log.push(format!("told, done: {}", task.done()))
    });
    task.detach();
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["told, done: true", "scheduled by the destructor"]);
}

#[evloop::test(order = "fifo")]
async fn a_destructor_that_panics_is_reported_where_it_runs() {
    let (seen, reports) = (Log::new(), reports());
    let task = async {
        X.set(5);
        OnDrop::new(|| panic!("in an output"))
    };
    create_task(task).detach();
    yield_now().await;
    assert_eq!(reports.take(), ["in an output"]);
    get_running_loop().unwrap().set_exception_handler({
        let seen = seen.clone();
        move |_| seen.push(format!("{:?}", X.get()))
    });
    create_task(async { (X.set(5), OnDrop::new(|| panic!("in an output"))).1 }).detach();
    let panics = async {
        X.set(6);
        panic!("instead of an output")
    };
    create_task(panics).detach();
    yield_now().await;
    assert_eq!((seen.take(), X.get()), (vec!["Some(5)".to_owned(), "Some(6)".to_owned()], None));
}

/// What is entered for a destructor is entered only if there is one.
#[evloop::test(order = "fifo")]
async fn a_destructor_runs_inside_of_what_its_context_enters() {
    static ENTERED: ContextVar<Log> = ContextVar::local("entered").entered(|log| {
        log.push("enter");
        let log = log.clone();
        Box::new(OnDrop::new(move || log.push("leave")))
    });
    let log = Log::new();
    let (output, entering) = (notes(&log, "output"), log.clone());
    let with_output = async move {
        ENTERED.set(entering);
        yield_now().await;
        output
    };
    create_task(with_output).detach();
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["enter", "leave", "enter", "output None", "leave"]);

    let entering = log.clone();
    let without = async move {
        ENTERED.set(entering);
        yield_now().await;
    };
    create_task(without).detach();
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["enter", "leave"]);
}

#[test]
fn a_task_that_is_born_while_its_loop_ends_is_dropped_in_its_own_context() {
    let (log, given) = (Log::new(), Rc::new(Context::new()));
    given.run(|| X.set(7));
    let mut event_loop = virtual_loop();
    let handle = event_loop.handle();
    let late = {
        let (log, given) = (log.clone(), given.clone());
        OnDrop::new(move || {
            let future = forever_with(notes(&log, "born late"));
            let _ = handle.create_task_with(Task::builder().context(&given), future);
        })
    };
    let parent = event_loop.handle().create_task(forever_with(late));
    event_loop.run_until_complete(yield_now()).unwrap();
    drop(event_loop);
    assert!(parent.cancelled());
    assert_eq!((log.take(), given.get(&X)), (vec!["born late Some(7)".to_owned()], Some(99)));
}

#[evloop::test]
async fn a_callback_that_is_cancelled_is_dropped_by_who_cancels_it() {
    let log = Log::new();
    X.set(1);
    let owned = notes(&log, "callback");
    let handle = call_soon(move || drop(owned));
    X.set(2);
    handle.cancel();
    assert_eq!((log.take(), X.get()), (vec!["callback Some(2)".to_owned()], Some(99)));
}
