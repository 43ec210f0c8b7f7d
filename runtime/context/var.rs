//! The variable: a name for values of one type.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scoped::Scoped;
use super::token::Token;
use crate::kernel::{Context, Held, Key, Value, Variable, current_context, current_context_to_set};

/// A variable whose value depends on the task that asks: make it a `static`.
///
/// See [`context`](crate::context) for who sees what.
///
/// # asyncio
/// `contextvars.ContextVar`.
///
/// # Examples
/// ```
/// use evloop::ContextVar;
///
/// static DEPTH: ContextVar<u32> = ContextVar::new("depth").with_default(|| 0);
///
/// evloop::run(async {
///     DEPTH.set(1);
///     let child = evloop::create_task(async {
///         let inherited = DEPTH.get();
///         DEPTH.set(2);
///         inherited
///     });
///     assert_eq!(child.await.unwrap(), Some(1));
///     assert_eq!(DEPTH.get(), Some(1), "what a child sets is its own");
/// });
/// ```
pub struct ContextVar<T: 'static> {
    name: &'static str,
    /// Taken at the first use; 0 before. It is what makes a variable itself, and no other of that name.
    key: AtomicU64,
    hold: fn(T, Option<Enter<T>>) -> Value,
    default: Option<fn() -> T>,
    enter: Option<Enter<T>>,
    inherited: bool,
}

type Enter<T> = fn(&T) -> Box<dyn Any>;

/// A value, with what to do when its context is entered.
struct Holder<T> {
    value: T,
    enter: Option<Enter<T>>,
}

impl<T: 'static> Held for Holder<T> {
    fn as_any(&self) -> &dyn Any {
        &self.value
    }

    fn enter(&self) -> Option<Box<dyn Any>> {
        self.enter.map(|enter| enter(&self.value))
    }
}

fn shared<T: Send + Sync + 'static>(value: T, enter: Option<Enter<T>>) -> Value {
    Value::Shared(Arc::new(Holder { value, enter }))
}

fn local<T: 'static>(value: T, enter: Option<Enter<T>>) -> Value {
    Value::Local(Rc::new(Holder { value, enter }))
}

impl<T: Send + Sync + 'static> ContextVar<T> {
    /// A variable without a value; the name is for people.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self::with_holder(name, shared::<T>)
    }
}

impl<T: 'static> ContextVar<T> {
    /// As [`new`](Self::new), for values that are not `Send` and `Sync`: they stay on their thread, so neither
    /// [`to_thread`](crate::to_thread()) nor a [`LoopProxy`](crate::LoopProxy) carries them along.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// static LOG: ContextVar<Rc<RefCell<Vec<&str>>>> = ContextVar::local("log");
    ///
    /// evloop::run(async {
    ///     LOG.set(Rc::default());
    ///     LOG.with(|log| log.borrow_mut().push("begun"));
    ///     evloop::to_thread(|| assert!(LOG.get().is_none())).await;
    /// });
    /// ```
    #[must_use]
    pub const fn local(name: &'static str) -> Self {
        Self::with_holder(name, local::<T>)
    }

    const fn with_holder(name: &'static str, hold: fn(T, Option<Enter<T>>) -> Value) -> Self {
        Self { name, key: AtomicU64::new(0), hold, default: None, enter: None, inherited: true }
    }

    /// What it is where nothing was set: made anew for everybody who asks.
    ///
    /// # asyncio
    /// `ContextVar(name, default=…)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// static RETRIES: ContextVar<u32> = ContextVar::new("retries").with_default(|| 3);
    ///
    /// assert_eq!(RETRIES.get(), Some(3));
    /// RETRIES.set(5);
    /// assert_eq!(RETRIES.get(), Some(5));
    /// ```
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> T) -> Self {
        self.default = Some(default);
        self
    }

    /// Its values stay with the task that sets them, and the callbacks that it schedules: tasks that it creates begin
    /// without.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// static STEP: ContextVar<u32> = ContextVar::new("step").not_inherited();
    ///
    /// evloop::run(async {
    ///     STEP.set(3);
    ///     assert_eq!(evloop::create_task(async { STEP.get() }).await.unwrap(), None);
    /// });
    /// ```
    #[must_use]
    pub const fn not_inherited(mut self) -> Self {
        self.inherited = false;
        self
    }

    /// Its values want to be *entered*: `enter` is called before each step of a task in whose context there is one,
    /// and before each of its callbacks, and what it returns is dropped after that. Such is a tracing span, whose guard
    /// must not live across an `await`. A value that is set in the middle of a step is entered from the next one on;
    /// with [`scope`](Self::scope) at once.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// struct Leaves(&'static str);
    /// impl Drop for Leaves {
    ///     fn drop(&mut self) {
    ///         println!("leave {}", self.0);
    ///     }
    /// }
    ///
    /// static SPAN: ContextVar<&'static str> = ContextVar::new("span").entered(|name| {
    ///     println!("enter {name}");
    ///     Box::new(Leaves(name))
    /// });
    ///
    /// evloop::run(async {
    ///     // Prints `enter request` and `leave request` twice: there are two polls.
    ///     SPAN.scope("request", evloop::yield_now()).await;
    /// });
    /// ```
    #[must_use]
    pub const fn entered(mut self, enter: fn(&T) -> Box<dyn Any>) -> Self {
        self.enter = Some(enter);
        self
    }

    /// The variable's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The value in the context of this code, or the default; `None` if there is neither.
    ///
    /// # asyncio
    /// `var.get(None)`.
    #[must_use]
    pub fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        self.get_in(current_context().as_ref())
    }

    pub(super) fn get_in(&self, context: Option<&Context>) -> Option<T>
    where
        T: Clone,
    {
        // The value is counted, and the context may change while it is cloned.
        let value = self.value_in(context);
        match &value {
            Some(value) => typed(value).cloned(),
            None => self.default.map(|default| default()),
        }
    }

    /// Looks at the value in the context of this code, or at the default, without cloning it; `None` if there is
    /// neither.
    ///
    /// # asyncio
    /// `var.get(None)`, which shares the value.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// static PATH: ContextVar<Vec<&str>> = ContextVar::new("path");
    ///
    /// assert_eq!(PATH.with(Vec::len), None);
    /// PATH.set(vec!["usr", "bin"]);
    /// assert_eq!(PATH.with(Vec::len), Some(2));
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let value = self.value_in(current_context().as_ref());
        match &value {
            Some(value) => typed(value).map(f),
            None => self.default.map(|default| f(&default())),
        }
    }

    /// Sets the value in the context of this code: the task's or the callback's own, or, outside of all loops, the
    /// thread's. The former value is in the token, with which [`reset`](Self::reset) restores it; without that, drop it.
    ///
    /// # asyncio
    /// `var.set(value)`.
    pub fn set(&self, value: T) -> Token<T> {
        let context = current_context_to_set();
        let former = context.replace(self.variable(), Some(self.hold(value)));
        Token::new(self.key(), former, context.identity())
    }

    /// Restores what was before the [`set`](Self::set) that gave this token.
    ///
    /// # Panics
    /// If the token is of another variable, or was made in another context.
    ///
    /// # asyncio
    /// `var.reset(token)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///
    /// let token = LEVEL.set(1);
    /// assert_eq!(LEVEL.get(), Some(1));
    /// LEVEL.reset(token);
    /// assert_eq!(LEVEL.get(), None);
    /// ```
    #[track_caller]
    pub fn reset(&self, token: Token<T>) {
        let context = current_context();
        let here = context.as_ref().is_some_and(|context| token.is_of(context));
        assert!(
            token.key() == self.key() && here,
            "the token was made by another variable or in another context; reset where it was set"
        );
        let former = context.and_then(|context| context.replace(self.variable(), token.into_former()));
        drop(former);
    }

    /// Sets the value for `future` alone: while it is polled and while it is dropped, and for the tasks and callbacks
    /// that it makes. What it sets itself stays in there, too.
    ///
    /// # Cancel safety
    /// That of `future`.
    ///
    /// # asyncio
    /// `with var.set(value):` (3.14) around an `await`.
    ///
    /// # Examples
    /// ```
    /// use evloop::ContextVar;
    ///
    /// static LANGUAGE: ContextVar<&str> = ContextVar::new("language").with_default(|| "en");
    ///
    /// evloop::run(async {
    ///     let inner = LANGUAGE.scope("eo", async {
    ///         evloop::yield_now().await;
    ///         LANGUAGE.get()
    ///     });
    ///     assert_eq!(inner.await, Some("eo"));
    ///     assert_eq!(LANGUAGE.get(), Some("en"));
    /// });
    /// ```
    pub fn scope<F: Future>(&self, value: T, future: F) -> Scoped<'_, T, F> {
        Scoped::new(self, self.hold(value), future)
    }

    fn hold(&self, value: T) -> Value {
        (self.hold)(value, self.enter)
    }

    fn value_in(&self, context: Option<&Context>) -> Option<Value> {
        context.and_then(|context| context.value(self.key()))
    }

    pub(super) fn variable(&self) -> Variable {
        let (name, inherited) = (self.name, self.inherited);
        Variable { key: self.key(), name, inherited, entered: self.enter.is_some() }
    }

    fn key(&self) -> Key {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: the number alone matters.
        let known = self.key.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
        match self.key.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => fresh,
            Err(others) => others,
        }
    }
}

/// The value as the type of its variable, which is the only one that makes values under its key.
pub(super) fn typed<T: 'static>(value: &Value) -> Option<&T> {
    value.held().as_any().downcast_ref()
}

impl<T: fmt::Debug + 'static> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value_in(current_context().as_ref());
        let mut f = f.debug_struct("ContextVar");
        f.field("name", &self.name);
        if let Some(value) = value.as_ref().and_then(typed::<T>) {
            f.field("value", value);
        }
        f.finish()
    }
}
