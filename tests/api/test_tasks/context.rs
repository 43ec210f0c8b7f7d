//! Each task's own context.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::context::Context;
use evloop::time::millis;
use evloop::{ContextVar, Task, create_task, current_task, gather, get_running_loop, sleep, yield_now};

use crate::support::virtual_loop;

static CVAR: ContextVar<&str> = ContextVar::new("cvar").with_default(|| "nope");

#[test]
fn test_get_context() {
    let mut event_loop = virtual_loop();
    let context = Context::new();
    let handle = event_loop.handle();
    let task = handle.create_task_with(Task::builder().context(&context), async {});
    assert!(task.context().unwrap().is_same(&context));
    let task_ref = task.task_ref();
    event_loop.run_until_complete(task).unwrap().unwrap();
    assert!(task_ref.context().is_none(), "ours: the context goes with the task and its handle");
}

#[evloop::test(order = "fifo")]
async fn a_task_has_one_context_all_its_life() {
    let task = create_task(async {
        let mine = current_task().unwrap().context().unwrap();
        CVAR.set("yes");
        yield_now().await;
        assert_eq!(CVAR.get(), Some("set from outside"));
        current_task().unwrap().context().unwrap().is_same(&mine)
    });
    let context = task.context().unwrap();
    assert!(context.is_empty(), "made for the asking");
    yield_now().await;
    assert_eq!(context.get(&CVAR), Some("yes"));
    context.run(|| CVAR.set("set from outside"));
    yield_now().await;
    assert!(task.done() && task.context().unwrap().is_same(&context), "while somebody owns it");
    assert!(task.await.unwrap());
}

#[evloop::test]
async fn test_context_1() {
    let main = async {
        assert_eq!(CVAR.get(), Some("nope"));
        let sub = create_task(async {
            sleep(millis(10)).await;
            assert_eq!(CVAR.get(), Some("nope"));
            CVAR.set("something else");
        });
        CVAR.set("yes");
        sub.await.unwrap();
        assert_eq!(CVAR.get(), Some("yes"));
    };
    create_task(main).await.unwrap();
}

#[evloop::test(order = "fifo")]
async fn test_context_2() {
    let main = async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let callback = |seen: &Rc<RefCell<Vec<_>>>| {
            let seen = seen.clone();
            move || {
                seen.borrow_mut().push(CVAR.get().unwrap());
                CVAR.set("of a callback");
            }
        };
        let task = create_task(sleep(millis(1)));
        CVAR.set("first");
        let first = callback(&seen);
        task.add_done_callback(move |_| first());
        CVAR.set("second");
        let second = callback(&seen);
        task.add_done_callback(move |_| second());
        CVAR.set("main");
        task.join().await.unwrap();
        yield_now().await;
        assert_eq!(*seen.borrow(), ["first", "second"]);
        assert_eq!(CVAR.get(), Some("main"));
        let done = create_task(async {});
        yield_now().await;
        done.add_done_callback({
            let callback = callback(&seen);
            move |_| callback()
        });
        CVAR.set("too late");
        yield_now().await;
        assert_eq!(seen.borrow().last(), Some(&"main"));
    };
    create_task(main).await.unwrap();
}

#[evloop::test]
async fn test_context_3() {
    static NUMBER: ContextVar<u64> = ContextVar::new("number").with_default(|| 0);
    let sub = |n: u64| async move {
        assert_eq!(NUMBER.get(), Some(0));
        NUMBER.set(n);
        for step in 0..3 {
            sleep(millis((n + step) % 7)).await;
            assert_eq!(NUMBER.get(), Some(n));
        }
        n
    };
    let all = gather((0..100).map(sub)).await.unwrap();
    assert_eq!((all.iter().sum::<u64>(), NUMBER.get()), (4950, Some(0)));
}

/// Sets and finds, in tasks that share a context. `spawn` starts one.
async fn share(context: Context, spawn: impl Fn(&Context, &'static str) -> Task<Option<&'static str>>) {
    context.run(|| CVAR.set("shared"));
    let first = spawn(&context, "first");
    let second = spawn(&context, "second");
    assert_eq!(first.await.unwrap(), Some("shared"));
    assert_eq!(second.await.unwrap(), Some("first"));
    assert_eq!(context.get(&CVAR), Some("second"));
    assert_eq!(CVAR.get(), Some("nope"));
}

async fn get_and_set(value: &'static str) -> Option<&'static str> {
    (CVAR.get(), CVAR.set(value)).0
}

#[evloop::test(order = "fifo")]
async fn test_context_4() {
    // Python's task constructor.
    share(Context::new(), |context, value| Task::builder().context(context).spawn(get_and_set(value))).await;
}

#[evloop::test(order = "fifo")]
async fn test_context_5() {
    // And `create_task`; here both are one, so: with a name as well.
    let spawn = |context: &Context, value| {
        Task::builder().name(value).context(context).eager(false).spawn(get_and_set(value))
    };
    share(Context::new(), spawn).await;
}

#[evloop::test(order = "fifo")]
async fn test_context_6() {
    let event_loop = get_running_loop().unwrap();
    let spawn = |context: &Context, value| {
        event_loop.create_task_with(Task::builder().context(context), get_and_set(value))
    };
    share(Context::new(), spawn).await;
}
