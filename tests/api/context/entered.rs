//! Values that are entered: what a tracing span needs, by a subscriber of the test's own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use evloop::{
    ContextVar, Task, call_soon, copy_context, create_task, get_running_loop, to_thread, yield_now,
};

use crate::support::reports;

thread_local! {
    /// The spans that are entered on this thread, and what has happened.
    static STACK: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static EVENTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What `tracing::Span` is here.
#[derive(Clone)]
struct Span(&'static str);

/// Its guard, which must not live across an `await`.
struct Entered(&'static str);

impl Span {
    fn enter(&self) -> Box<dyn std::any::Any> {
        STACK.with(|stack| stack.borrow_mut().push(self.0));
        Box::new(Entered(self.0))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let top = STACK.with(|stack| stack.borrow_mut().pop());
        assert_eq!(top, Some(self.0), "left in the order of a stack");
    }
}

static SPAN: ContextVar<Span> = ContextVar::new("span").entered(Span::enter);
static INNER: ContextVar<Span> = ContextVar::new("inner").entered(Span::enter);

/// What a tracing event does: it notes the spans that it is in.
fn event(name: &str) {
    let spans = STACK.with(|stack| stack.borrow().join("/"));
    EVENTS.with(|events| events.borrow_mut().push(format!("{spans}:{name}")));
}

fn events() -> Vec<String> {
    assert!(STACK.with(|stack| stack.borrow().len()) <= 1, "only this task's own");
    EVENTS.take()
}

#[evloop::test(order = "fifo")]
async fn a_span_is_entered_around_each_step_of_those_that_have_it() {
    let request = async {
        event("begins");
        let child = create_task(async {
            event("child");
            yield_now().await;
            event("child again");
        });
        call_soon(|| event("callback"));
        yield_now().await;
        event("goes on");
        child.await.unwrap();
    };
    let served = create_task(SPAN.scope(Span("request"), request));
    let other = create_task(async {
        for _ in 0..3 {
            event("other");
            yield_now().await;
        }
    });
    served.await.unwrap();
    other.await.unwrap();
    assert_eq!(
        events(),
        [
            "request:begins",
            ":other",
            "request:child",
            "request:callback",
            "request:goes on",
            ":other",
            "request:child again",
            ":other",
        ]
    );
}

#[evloop::test]
async fn set_in_a_step_it_is_entered_from_the_next_one_on() {
    let task = create_task(async {
        SPAN.set(Span("outer"));
        INNER.set(Span("inner"));
        event("set");
        yield_now().await;
        event("next");
    });
    task.await.unwrap();
    assert_eq!(events(), [":set", "outer/inner:next"]);
}

#[evloop::test]
async fn an_eager_step_enters_its_own_inside() {
    SPAN.scope(Span("main"), async {
        let own = copy_context();
        own.run(|| INNER.set(Span("child")));
        let child = async {
            event("first");
            yield_now().await;
            event("second");
        };
        let child = Task::builder().eager(true).context(&own).spawn(child);
        event("between");
        child.await.unwrap();
    })
    .await;
    assert_eq!(events(), ["main/main/child:first", "main:between", "main/child:second"]);
}

#[evloop::test]
async fn what_is_run_in_a_context_is_inside_of_its_spans() {
    let context = copy_context();
    context.run(|| SPAN.set(Span("run")));
    context.run(|| event("inside"));
    event("outside");
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        context.run(|| panic!("inside"));
    }));
    assert!(panics.is_err());
    assert_eq!(events(), ["run:inside", ":outside"]);
}

#[evloop::test(order = "fifo")]
async fn a_panic_leaves_them_and_is_reported_inside() {
    let event_loop = get_running_loop().unwrap();
    event_loop.set_exception_handler(|context| event(context.panic_message()));
    let context = copy_context();
    context.run(|| SPAN.set(Span("span")));
    Task::<()>::detach(Task::builder().context(&context).spawn(async { panic!("task") }));
    context.run(|| drop(call_soon(|| panic!("callback"))));
    yield_now().await;
    assert_eq!(events(), ["span:task", "span:callback"]);
}

#[evloop::test]
async fn on_other_threads_it_is_entered_as_well() {
    let proxy = get_running_loop().unwrap().proxy();
    let there = SPAN.scope(
        Span("span"),
        to_thread(move || {
            event("job");
            // The callback is mail for the loop, and has the span there.
            proxy.call_soon(|| event("by proxy")).unwrap();
            EVENTS.take()
        }),
    );
    assert_eq!(there.await, ["span:job"]);
    yield_now().await;
    assert_eq!(events(), ["span:by proxy"]);
}

#[evloop::test]
async fn a_value_that_panics_when_it_is_entered_or_left_is_reported() {
    struct Leaves;
    impl Drop for Leaves {
        fn drop(&mut self) {
            panic!("left");
        }
    }
    static BAD: ContextVar<bool> = ContextVar::new("bad").entered(|enters| {
        assert!(*enters, "entered");
        Box::new(Leaves)
    });
    let reports = reports();
    for enters in [false, true] {
        let context = evloop::context::Context::new();
        Task::builder().context(&context).spawn(async move { drop(BAD.set(enters)) }).await.unwrap();
        let task = Task::builder().context(&context).spawn(async { 5 });
        assert_eq!(task.await.unwrap(), 5, "the step is made all the same");
    }
    assert_eq!(reports.take(), ["entered", "left"]);
}

#[evloop::test(order = "fifo")]
async fn what_a_callback_enters_is_entered_in_its_context() {
    static DEPTH: ContextVar<u32> = ContextVar::new("depth");
    static DEEPER: ContextVar<()> = ContextVar::new("deeper").entered(|()| {
        let depth = DEPTH.get();
        DEPTH.set(depth.unwrap_or(0) + 1);
        Box::new(())
    });
    DEPTH.set(7);
    DEEPER.set(());
    let (see, seen) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let (by_callback, by_done) = (see.clone(), seen.clone());
    call_soon(move || by_callback.set(DEPTH.get()));
    create_task(async {}).add_done_callback(move |_| by_done.set(DEPTH.get()));
    // This task enters, too: at each step after this one.
    yield_now().await;
    yield_now().await;
    assert_eq!((see.get(), seen.get(), DEPTH.get()), (Some(8), Some(8), Some(9)));
}
