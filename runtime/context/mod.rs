//! Context variables: what belongs to a task and all that it starts, without being handed from function to
//! function. The user of a request, a deadline, a tracing span.
//!
//! A [`ContextVar`] is a `static`; what it holds depends on who asks. Each task has a [`Context`] of its own, a copy
//! of its creator's as it was at that moment, so what a task sets is seen by itself and by the tasks that it
//! creates afterwards, and by nobody else. A copy takes one small allocation, and a task in whose context nothing
//! was ever set takes none.
//!
//! | who | runs in |
//! |---|---|
//! | a task | a copy of its creator's context, without the variables that are [not inherited](ContextVar::not_inherited); or the [given](crate::TaskBuilder::context) one |
//! | a callback of `call_soon`, `call_later`, `call_at` | a copy, made when it is scheduled |
//! | a done callback, a callback for a descriptor or a signal | a copy, made when it is added |
//! | what comes by a [`LoopProxy`](crate::LoopProxy), a function given to [`to_thread`](crate::to_thread()) | a copy of those whose values are `Send` and `Sync` |
//! | the main of [`run`](crate::run) | a copy of the thread's context; all mains of a [`Runner`](crate::Runner) share one, unless they are [given](crate::Runner::run_in) another |
//! | the destructors of a task's future, and of its output if nobody takes it | the task's |
//! | the exception handler | the context of the task or callback that has failed |
//!
//! Whatever somebody else drops, an output that was taken or a callback that is cancelled, is dropped in his context. The
//! output of a task in which nothing was ever set is dropped in what the loop itself is in.
//!
//! # asyncio
//! The module `contextvars`.
//!
//! # Examples
//! ```
//! use evloop::{ContextVar, gather, sleep, time::millis};
//!
//! static USER: ContextVar<String> = ContextVar::new("user");
//!
//! async fn greeting() -> String {
//!     sleep(millis(1)).await;
//!     format!("hello {}", USER.get().unwrap())
//! }
//!
//! evloop::run(async {
//!     let serve = async |name: &str| {
//!         USER.set(name.to_owned()); // in the child's own context
//!         greeting().await
//!     };
//!     let both = gather((async move { serve("ann").await }, async move { serve("bob").await }));
//!     assert_eq!(both.await.unwrap(), ("hello ann".to_owned(), "hello bob".to_owned()));
//!     assert_eq!(USER.get(), None);
//! });
//! ```

mod scoped;
mod token;
mod var;

pub use scoped::Scoped;
pub use token::Token;
pub use var::ContextVar;

pub use crate::kernel::Context;
use crate::kernel::{current_context, run_in};

/// A copy of the context that this code runs in.
///
/// # asyncio
/// `contextvars.copy_context()`.
///
/// # Examples
/// ```
/// use evloop::{ContextVar, copy_context};
///
/// static N: ContextVar<u32> = ContextVar::new("n");
///
/// N.set(1);
/// let before = copy_context();
/// N.set(2);
/// assert_eq!((before.get(&N), N.get()), (Some(1), Some(2)));
/// ```
#[must_use]
pub fn copy_context() -> Context {
    current_context().map_or_else(Context::new, |context| context.copy())
}

impl Context {
    /// Calls `f` in this context: what it sets is set here, and nowhere else.
    ///
    /// # Panics
    /// If the code around is in this very context already, by another `run` or because it is the task's own. If
    /// `f` panics; the context is left then, too.
    ///
    /// # asyncio
    /// `context.run(f)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{ContextVar, copy_context};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let context = copy_context();
    /// let seen = context.run(|| {
    ///     USER.set("root");
    ///     USER.get()
    /// });
    /// assert_eq!((seen, USER.get()), (Some("root"), None));
    /// assert_eq!(context.get(&USER), Some("root"), "it stays there");
    /// ```
    #[track_caller]
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let is_current = current_context().is_some_and(|current| current.is_same(self));
        assert!(
            !is_current && !self.set_running(true),
            "the context is entered already; run in a copy of it"
        );
        let _leaves = Leaves(self);
        run_in(self, f)
    }

    /// The value that a variable has in here, or its default.
    ///
    /// # asyncio
    /// `context.get(var)`.
    #[must_use]
    pub fn get<T: Clone + 'static>(&self, variable: &ContextVar<T>) -> Option<T> {
        variable.get_in(Some(self))
    }
}

struct Leaves<'a>(&'a Context);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.set_running(false);
    }
}
