//! Values are foreign code: what they may do when they are cloned and dropped, and where that happens.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;

use evloop::context::Context;
use evloop::{ContextVar, Task, call_soon, copy_context, create_task, current_task, to_thread, yield_now};

use crate::support::{Log, LogsItsDrop, OnDrop, reports};

type Dropped = Rc<LogsItsDrop>;
/// Calls something when it is dropped.
type Loud = Rc<OnDrop<fn()>>;
type LoudOnce = Rc<OnDrop<Box<dyn FnOnce()>>>;
static OWNED: ContextVar<Dropped> = ContextVar::local("owned");
static COUNT: ContextVar<u32> = ContextVar::new("count").with_default(|| 0);

#[evloop::test(order = "fifo")]
async fn a_tasks_values_go_at_its_end() {
    let log = Log::new();
    let owned = Rc::new(log.on_drop("value"));
    let task = create_task(async move {
        OWNED.set(owned);
        yield_now().await;
    });
    let task_ref = task.task_ref();
    task.detach();
    yield_now().await;
    assert!(log.is_empty());
    yield_now().await;
    assert!(task_ref.done() && task_ref.context().is_none());
    assert_eq!(log.take(), ["value"]);
}

#[evloop::test]
async fn with_a_handle_they_go_with_the_handle() {
    let log = Log::new();
    let owned = Rc::new(log.on_drop("value"));
    let task = Task::builder().eager(true).spawn(async move { drop(OWNED.set(owned)) });
    assert!(task.done() && log.is_empty());
    drop(task);
    assert_eq!(log.take(), ["value"]);
}

#[evloop::test(order = "fifo")]
async fn they_go_at_home_whoever_frees_the_task() {
    // The last that knows of the task is a waker on another thread.
    let place = Rc::new(Cell::new(None));
    let (sets, waker) = (place.clone(), Rc::new(Cell::new(None::<Waker>)));
    static LOUD: ContextVar<LoudOnce> = ContextVar::local("loud");
    let keeps = waker.clone();
    let task = create_task(async move {
        LOUD.set(Rc::new(OnDrop::new(Box::new(move || sets.set(Some(thread::current().id()))))));
        std::future::poll_fn(|cx| {
            keeps.set(Some(cx.waker().clone()));
            Poll::Ready(())
        })
        .await;
    });
    task.detach();
    yield_now().await;
    assert_eq!(place.get(), Some(thread::current().id()));
    let waker = waker.take().unwrap();
    to_thread(move || drop(waker)).await;
}

#[evloop::test]
async fn destructors_may_use_variables() {
    static LOUD: ContextVar<Loud> = ContextVar::local("loud");
    let counts: fn() = || drop(COUNT.set(COUNT.get().unwrap() + 1));
    LOUD.set(Rc::new(OnDrop::new(counts)));
    LOUD.set(Rc::new(OnDrop::new(counts)));
    assert_eq!(COUNT.get(), Some(1));
    let token = LOUD.set(Rc::new(OnDrop::new(counts)));
    assert_eq!(COUNT.get(), Some(1), "the token has it");
    LOUD.reset(token);
    assert_eq!(COUNT.get(), Some(2));
    let context = copy_context();
    LOUD.set(Rc::new(OnDrop::new(counts)));
    assert_eq!(COUNT.get(), Some(2), "the copy has it");
    drop(context);
    assert_eq!(COUNT.get(), Some(3));
}

#[evloop::test]
async fn a_clone_may_use_variables() {
    struct Cloned;
    impl Clone for Cloned {
        fn clone(&self) -> Self {
            VALUE.set(Cloned);
            COUNT.set(COUNT.get().unwrap() + 1);
            Cloned
        }
    }
    static VALUE: ContextVar<Cloned> = ContextVar::new("value");
    VALUE.set(Cloned);
    assert!(VALUE.get().is_some() && VALUE.get().is_some());
    assert_eq!(COUNT.get(), Some(2));
    // Neither a copy nor a write clones.
    let copy = copy_context();
    COUNT.set(0);
    assert_eq!((COUNT.get(), copy.get(&COUNT)), (Some(0), Some(2)));
}

#[evloop::test(order = "fifo")]
async fn a_value_that_panics_when_it_is_dropped_is_reported() {
    static LOUD: ContextVar<Loud> = ContextVar::local("loud");
    let reports = reports();
    let sets = || drop(LOUD.set(Rc::new(OnDrop::new(|| panic!("value")))));
    create_task(async move { sets() }).detach();
    call_soon(sets);
    yield_now().await;
    assert_eq!(reports.take(), ["value", "value"]);
    let task = create_task(async move {
        sets();
        std::future::pending::<()>().await
    });
    yield_now().await;
    task.cancel();
    yield_now().await;
    assert!(task.cancelled());
    drop(task);
    assert_eq!(reports.take(), ["value"]);
    let unwanted = call_soon_with(sets);
    unwanted();
    assert_eq!(reports.take(), ["value"]);
    assert!(current_task().is_some());
}

/// Schedules a callback in a context in which `sets` was called; what this returns cancels it.
fn call_soon_with(sets: impl FnOnce()) -> impl FnOnce() {
    let context = Context::new();
    let handle = context.run(|| {
        sets();
        call_soon(|| unreachable!("it is cancelled"))
    });
    drop(context);
    move || handle.cancel()
}

#[test]
fn a_loop_that_ends_drops_them() {
    let log = Log::new();
    let mut event_loop = crate::support::virtual_loop();
    let handle = event_loop.handle();
    let owned = |name: &'static str| Rc::new(log.on_drop(name));
    let (of_task, of_callback, of_done) = (owned("task"), owned("callback"), owned("done callback"));
    let task = event_loop
        .run_until_complete(async move {
            OWNED.set(of_callback);
            evloop::call_later(std::time::Duration::from_secs(5), || unreachable!("too late"));
            OWNED.set(of_done);
            let task = handle.create_task_with(Task::builder().context(&Context::new()), async move {
                OWNED.set(of_task);
                std::future::pending::<()>().await
            });
            task.add_done_callback(|_| unreachable!("the loop has ended"));
            yield_now().await;
            task
        })
        .unwrap();
    assert!(log.is_empty());
    task.detach();
    drop(event_loop);
    let mut dropped = log.take();
    dropped.sort();
    assert_eq!(dropped, ["callback", "done callback", "task"]);
}
