//! Context variables: who sees what.

mod callbacks;
mod dropped;
mod entered;
mod scoped;
mod values;

use std::cell::Cell;
use std::rc::Rc;

use evloop::context::Context;
use evloop::{
    ContextVar, Runner, Task, copy_context, create_task, current_task, get_running_loop, yield_now,
};

use crate::support::{OnDrop, forever_with, panic_of, virtual_loop};

static X: ContextVar<u32> = ContextVar::new("x");
static Y: ContextVar<String> = ContextVar::new("y").with_default(|| "default".to_owned());

#[test]
fn a_thread_has_a_context_and_a_run_a_copy_of_it() {
    X.set(1);
    evloop::run(async {
        assert_eq!(X.get(), Some(1));
        X.set(2);
        create_task(async { assert_eq!(X.get(), Some(2)) }).await.unwrap();
    });
    assert_eq!(X.get(), Some(1));
    std::thread::spawn(|| assert_eq!(X.get(), None)).join().unwrap();
}

#[test]
fn variables_are_told_apart_by_what_they_are_not_by_name() {
    let (one, other) = (ContextVar::new("same"), ContextVar::new("same"));
    one.set(1);
    assert_eq!((one.get(), other.get(), one.name(), other.name()), (Some(1), None, "same", "same"));
    other.set(2);
    assert_eq!((one.get(), other.get()), (Some(1), Some(2)));
    assert_eq!(copy_context().names(), ["same", "same"]);
    assert_eq!(format!("{one:?}"), "ContextVar { name: \"same\", value: 1 }");
}

#[test]
fn defaults_are_made_for_who_asks() {
    assert_eq!(Y.get().unwrap(), "default");
    assert_eq!(Y.with(String::len), Some(7));
    assert_eq!(X.with(|x| *x), None);
    assert_eq!(copy_context().get(&Y).unwrap(), "default");
    assert!(copy_context().is_empty(), "a default is not set");
    Y.set("set".into());
    assert_eq!((Y.with(String::len), copy_context().len()), (Some(3), 1));
}

#[test]
fn a_token_restores_what_was_before() {
    let first = X.set(1);
    let second = X.set(2);
    assert_eq!((first.old_value(), second.old_value()), (None, Some(&1)));
    assert_eq!(
        format!("{first:?}{second:?}"),
        "Token { old_value: None, .. }Token { old_value: Some(1), .. }"
    );
    X.reset(second);
    assert_eq!(X.get(), Some(1));
    X.reset(first);
    assert_eq!(X.get(), None);
    assert!(copy_context().is_empty());
}

#[evloop::test]
async fn a_token_is_of_its_variable_and_its_context() {
    static OTHER: ContextVar<u32> = ContextVar::new("other");
    let text = panic_of(|| OTHER.reset(X.set(1)));
    assert!(text.contains("another variable or in another context"), "{text}");
    let token = X.set(2);
    let elsewhere = create_task(async move { panic_of(|| X.reset(token)) });
    assert_eq!(elsewhere.await.unwrap(), text);
    assert_eq!(X.get(), Some(2));
}

#[evloop::test]
async fn what_is_set_outside_of_a_context_is_not_seen_in_it() {
    let context = copy_context();
    X.set(1);
    context.run(|| {
        assert_eq!(X.get(), None);
        X.set(2);
        // A task that is created in here has a copy of this one.
        let task = create_task(async { (X.get(), X.set(3)).0 });
        assert_eq!(task.context().unwrap().get(&X), Some(2));
        task.detach();
    });
    yield_now().await;
    assert_eq!((context.get(&X), X.get()), (Some(2), Some(1)));
    assert_eq!(format!("{context:?} {:?}", Context::default()), "Context([\"x\"]) Context([])");
}

#[evloop::test]
async fn a_context_is_entered_once_at_a_time() {
    let context = Context::new();
    let text = context.run(|| panic_of(|| context.run(|| ())));
    assert!(text.contains("is entered already"), "{text}");
    let other = Context::new();
    let text = context.run(|| other.run(|| panic_of(|| context.run(|| ()))));
    assert!(text.contains("is entered already"), "deeper inside, too");
    let mine = current_task().unwrap().context().unwrap();
    let text = panic_of(|| mine.run(|| ()));
    assert!(text.contains("is entered already"), "{text}");
    assert_eq!(panic_of(|| context.run(|| panic!("inside"))), "inside");
    assert_eq!(context.run(|| 5), 5, "a panic has left it");
    assert_eq!(mine.copy().run(|| 6), 6);
}

#[test]
fn outside_of_loops_contexts_are_entered_as_well() {
    let context = Context::new();
    X.set(1);
    context.run(|| {
        assert_eq!(X.get(), None);
        X.set(2);
        evloop::run(async { assert_eq!(X.get(), Some(2)) });
        copy_context().run(|| assert_eq!(X.get(), Some(2)));
    });
    assert_eq!((X.get(), context.get(&X)), (Some(1), Some(2)));
}

#[evloop::test]
async fn what_is_not_inherited_stays_with_its_task() {
    static OWN: ContextVar<u32> = ContextVar::new("own").not_inherited();
    OWN.set(1);
    let task = create_task(async { OWN.get() });
    assert!(task.context().unwrap().is_empty());
    assert_eq!(task.await.unwrap(), None);
    X.set(2);
    let child = || async { (OWN.get(), X.get()) };
    assert_eq!(create_task(child()).await.unwrap(), (None, Some(2)));
    assert_eq!(Task::builder().eager(true).spawn(child()).await.unwrap(), (None, Some(2)));
    let copied = Task::builder().context(&copy_context()).spawn(child());
    assert_eq!(copied.await.unwrap(), (Some(1), Some(2)), "unless it is given");
    assert_eq!(OWN.get(), Some(1));
}

#[evloop::test]
async fn the_map_is_shared_until_somebody_writes() {
    for n in 0..50 {
        X.set(n);
    }
    Y.set("y".into());
    let copies: Vec<_> = (0..3).map(|_| copy_context()).collect();
    copies[1].run(|| X.set(100));
    let values: Vec<_> = copies.iter().map(|copy| copy.get(&X).unwrap()).collect();
    assert_eq!((values, X.get()), (vec![49, 100, 49], Some(49)));
    assert_eq!(copies[1].names(), ["x", "y"]);
}

#[test]
fn a_runner_begins_with_a_copy_of_the_threads_context_as_it_is_at_its_first_run() {
    static PLACE: ContextVar<&str> = ContextVar::new("place");

    let mut runner = Runner::new().unwrap();
    let token = PLACE.set("thread");
    assert_eq!(runner.run(async { (PLACE.get(), PLACE.set("main")).0 }).unwrap(), Some("thread"));
    assert_eq!(PLACE.get(), Some("thread"));
    PLACE.reset(token);
    assert_eq!(runner.run(async { PLACE.get() }).unwrap(), Some("main"));
    let panics = panic_of(|| {
        runner.run(async {
            PLACE.set("panic");
            panic!("main panics")
        })
    });
    assert_eq!(panics, "main panics");
    assert_eq!(runner.run(async { PLACE.get() }).unwrap(), Some("panic"));
    // An `EventLoop` of its own takes the thread's each time.
    let mut event_loop = virtual_loop();
    assert_eq!(event_loop.run_until_complete(async { (PLACE.get(), PLACE.set("main")).0 }).unwrap(), None);
    assert_eq!(event_loop.run_until_complete(async { PLACE.get() }).unwrap(), None);
}

#[test]
fn a_task_for_another_loop_inherits_from_who_creates_it() {
    let mut other = virtual_loop();
    let handle = other.handle();
    let tasks = evloop::run(async move {
        X.set(1);
        let get = async || X.get();
        let task = handle.create_task(get());
        (task, handle.create_task_with(Task::builder().name("named"), get()))
    });
    let (first, second) = other.run_until_complete(async { (tasks.0.await, tasks.1.await) }).unwrap();
    assert_eq!((first.unwrap(), second.unwrap()), (Some(1), Some(1)));
}

#[evloop::test(order = "fifo")]
async fn a_panic_of_a_task_that_has_set_nothing_is_reported_where_nothing_is_set() {
    let seen = Rc::new(Cell::new(None));
    let (see, task) = (seen.clone(), create_task(async { panic!("on purpose") }));
    get_running_loop().unwrap().set_exception_handler(move |_| see.set(Some(X.get())));
    yield_now().await;
    X.set(1);
    drop(task);
    assert_eq!((seen.get(), X.get()), (Some(None), Some(1)));
}

#[test]
fn a_task_that_has_set_nothing_is_dropped_with_its_loop_where_nothing_is_set() {
    let seen = Rc::new(Cell::new(None));
    let see = seen.clone();
    let mut event_loop = virtual_loop();
    let task = event_loop.handle().create_task(forever_with(OnDrop::new(move || {
        see.set(Some(X.get()));
        X.set(2);
    })));
    event_loop.run_until_complete(yield_now()).unwrap();
    X.set(1);
    drop(event_loop);
    assert_eq!((task.cancelled(), seen.get(), X.get()), (true, Some(None), Some(1)));
}
