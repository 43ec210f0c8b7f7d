//! Which context variables the code that runs can see.
//!
//! A task's step needs nothing done for it: whose context it is in follows from which task it is, and a task in
//! which nothing was ever set has none. What is not a task's own step says so in [`Home::inside`]: callbacks,
//! and code inside of a [`Context::run`]. Outside of all loops each thread has a context.

use std::cell::Cell;

use super::header::{Header, TaskPtr};
use super::state::CONTEXT;
use crate::kernel::context::{Home, with_current};
use crate::kernel::report::guarded;
use crate::kernel::variables::{Context, EnteredValues, Inside, Travelling};

thread_local! {
    static OF_THREAD: Cell<Option<Context>> = const { Cell::new(None) };
}

/// Looks at the thread's own context; `None` also while the thread ends.
fn of_thread() -> Option<Context> {
    OF_THREAD
        .try_with(|place| {
            let context = place.take();
            place.set(context.clone());
            context
        })
        .ok()
        .flatten()
}

/// Puts another context in the place of the thread's own, and hands that out.
fn replace_threads(context: Option<Context>) -> Option<Context> {
    OF_THREAD.try_with(|place| place.replace(context)).ok().flatten()
}

/// Where code that runs finds its context.
enum Place {
    Made(Context),
    Task(TaskPtr),
    Callback,
    Thread,
}

impl Place {
    fn of(home: &Home) -> Self {
        match (&*home.inside(), home.current_task.get()) {
            (Inside::Context(context), _) => Self::Made(context.clone()),
            (Inside::Callback, _) => Self::Callback,
            // SAFETY: `current_task` is the entry of a task.
            (Inside::Nothing, Some(entry)) => Self::Task(unsafe { TaskPtr::from_entry(entry) }),
            (Inside::Nothing, None) => Self::Thread,
        }
    }

    fn context(self) -> Option<Context> {
        match self {
            Self::Made(context) => Some(context),
            // SAFETY: the task whose step runs: alive, at home.
            Self::Task(task) => unsafe { task.header() }.context(),
            Self::Callback => None,
            Self::Thread => of_thread(),
        }
    }
}

/// The context that this code is in; `None` stands for one in which nothing is set.
pub(crate) fn current_context() -> Option<Context> {
    with_current(|_, home| Place::of(home)).unwrap_or(Place::Thread).context()
}

/// The context that this code is in, made if need be, to set something in it.
pub(crate) fn current_context_to_set() -> Context {
    let place = with_current(|_, home| Place::of(home)).unwrap_or(Place::Thread);
    match place {
        // SAFETY: the task whose step runs: alive, at home, unfinished.
        Place::Task(task) => unsafe { task.header() }.context_made(),
        Place::Callback => {
            let context = Context::new();
            let of_callback = Inside::Context(context.clone());
            with_current(|_, home| drop(home.go_inside(of_callback)));
            context
        }
        place => place.context().unwrap_or_else(|| {
            let context = Context::new();
            drop(replace_threads(Some(context.clone())));
            context
        }),
    }
}

/// Whether this is the step of a task in which nothing was ever set: what most children begin with is nothing.
#[inline]
pub(super) fn has_none_for_children(home: &Home) -> bool {
    let Some(entry) = home.current_task.get() else { return false };
    // SAFETY: `current_task` is the entry of the task whose step runs: alive, at home.
    !home.is_inside.get() && !unsafe { TaskPtr::from_entry(entry).state() }.has(CONTEXT)
}

/// What a task that is created here begins with, be it in another loop.
pub(super) fn context_for_child() -> Option<Context> {
    current_context()?.copy_for_child()
}

/// What a callback that is scheduled here, or a job, is to see; `None` if that is nothing.
pub(crate) fn captured_context() -> Option<Context> {
    current_context().filter(|context| !context.is_empty()).map(|context| context.copy())
}

/// Runs `f` in a context. The context is left in any case.
pub(crate) fn run_in<R>(context: &Context, f: impl FnOnce() -> R) -> R {
    // Left in reverse: first what was entered in it.
    let _within = Within::enter(Inside::Context(context.clone()));
    let _entered = context.enter_values();
    f()
}

/// As [`run_in`], where nothing may unwind and what panics is reported: in the context, too. `None` stands for one in
/// which nothing is set.
pub(super) fn run_guarded_in(context: Option<&Context>, f: impl FnOnce()) {
    let within = Within::enter(context.cloned().map_or(Inside::Callback, Inside::Context));
    let entered = context.map(enter_guarded);
    f();
    if let Some(entered) = entered {
        leave_guarded(entered);
    }
    guarded(PANICKED, || drop(within));
}

/// Runs a callback, whose `f` does not unwind, in its context.
#[inline]
pub(super) fn run_callback_in(home: &Home, context: Option<Context>, f: impl FnOnce()) {
    let entering = context.as_ref().filter(|context| context.wants_to_be_entered()).cloned();
    let before = home.go_inside(context.map_or(Inside::Callback, Inside::Context));
    // Its clone ends with the call: the last one is dropped below.
    let entered = entering.map(|context| enter_guarded(&context));
    f();
    if let Some(entered) = entered {
        leave_guarded(entered);
    }
    if let Inside::Context(context) = home.go_inside(before) {
        drop_context(Some(context));
    }
}

/// Puts the callback that runs, and has come from another thread, into the context that came with it. What this
/// returns is dropped at the callback's end.
pub(crate) fn arrive_in_callback(travelling: Travelling) -> EnteredValues {
    let context = travelling.arrive();
    let entered = context.enter_values();
    with_current(|_, home| drop(home.go_inside(Inside::Context(context))));
    entered
}

/// What a callback, or a job, that goes to another thread takes along; `None` if that is nothing.
pub(crate) fn travelling_context() -> Option<Travelling> {
    current_context()?.travelling()
}

/// Enters what wants to be entered, where nothing may unwind.
pub(super) fn enter_guarded(context: &Context) -> Option<EnteredValues> {
    guarded("a context variable's value panicked when it was entered", || context.enter_values())
}

/// Ends what [`enter_guarded`] began.
pub(super) fn leave_guarded(entered: Option<EnteredValues>) {
    guarded("a context variable's value panicked when it was left", || drop(entered));
}

/// Drops a context that is not used any more, with its values, which are foreign.
pub(super) fn drop_context(context: Option<Context>) {
    if context.is_some() {
        guarded(PANICKED, || drop(context));
    }
}

const PANICKED: &str = "a context variable's value panicked when it was dropped";

/// While it lives, this code is in a certain context.
struct Within(Before);

enum Before {
    AtHome(Inside),
    Outside(Option<Context>),
}

impl Within {
    fn enter(inside: Inside) -> Self {
        let mut inside = Some(inside);
        let before =
            with_current(|_, home| inside.take().map(|inside| Before::AtHome(home.go_inside(inside))));
        Self(before.flatten().unwrap_or_else(|| {
            let context = match inside {
                Some(Inside::Context(context)) => Some(context),
                _ => None,
            };
            Before::Outside(replace_threads(context))
        }))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let former = match &mut self.0 {
            Before::AtHome(before) => {
                let before = std::mem::replace(before, Inside::Nothing);
                // The loop that was current then: frames inside of a loop end in the reverse order of their beginning.
                match with_current(|_, home| home.go_inside(before)) {
                    Some(Inside::Context(context)) => Some(context),
                    _ => None,
                }
            }
            Before::Outside(before) => replace_threads(before.take()),
        };
        drop(former);
    }
}

impl Header {
    /// The task's context, if it has one.
    pub(super) fn context(&self) -> Option<Context> {
        if !self.state.has(CONTEXT) {
            return None;
        }
        self.attached.side_if_any(|side| side.context.clone()).flatten()
    }

    /// The task's context, made if it has none. The task is unfinished: else nobody would take the context out
    /// before the side box may be dropped on another thread.
    pub(super) fn context_made(&self) -> Context {
        self.context().unwrap_or_else(|| {
            let context = Context::new();
            self.set_context(context.clone());
            context
        })
    }

    /// Gives an unfinished task that has none its context.
    pub(super) fn set_context(&self, context: Context) {
        self.state.set(CONTEXT);
        let former = self.attached.side(|side| side.context.replace(context));
        debug_assert!(former.is_none(), "a task's context does not change");
    }

    /// Takes the context out.
    pub(super) fn take_context(&self) -> Option<Context> {
        if !self.state.has(CONTEXT) {
            return None;
        }
        self.state.clear(CONTEXT);
        self.attached.side_if_any(|side| side.context.take()).flatten()
    }
}
