//! Errors that nobody waits for: they are told to the loop's exception handler, never dropped.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};

/// What a loop calls with an error that has no other taker.
pub(crate) type ExceptionHandler = dyn Fn(&ErrorContext<'_>);

/// What an exception handler is told: what happened, where, and the panic or the error.
///
/// # asyncio
/// The context dictionary of `loop.call_exception_handler`.
///
/// # Examples
/// ```
/// use std::{cell::RefCell, rc::Rc};
///
/// evloop::run(async {
///     let seen = Rc::new(RefCell::new(Vec::new()));
///     let event_loop = evloop::get_running_loop().unwrap();
///     event_loop.set_exception_handler({
///         let seen = seen.clone();
///         move |context| seen.borrow_mut().push(context.panic_message().to_owned())
///     });
///     evloop::call_soon(|| panic!("lost"));
///     evloop::yield_now().await;
///     assert_eq!(*seen.borrow(), ["lost"]);
/// });
/// ```
pub struct ErrorContext<'a> {
    message: &'a str,
    cause: Cause<'a>,
    task: Option<&'a str>,
    location: Option<&'static Location<'static>>,
}

#[derive(Clone, Copy)]
enum Cause<'a> {
    Panic(&'a (dyn Any + Send)),
    Error(&'a (dyn Error + 'static)),
}

impl<'a> ErrorContext<'a> {
    pub(crate) fn new(message: &'a str, payload: &'a (dyn Any + Send), task: Option<&'a str>) -> Self {
        Self { message, cause: Cause::Panic(payload), task, location: None }
    }

    pub(crate) fn of_error(message: &'a str, error: &'a (dyn Error + 'static)) -> Self {
        Self { message, cause: Cause::Error(error), task: None, location: None }
    }

    pub(crate) fn in_task(self, name: &'a str) -> Self {
        Self { task: Some(name), ..self }
    }

    pub(crate) fn created_at(self, location: Option<&'static Location<'static>>) -> Self {
        Self { location, ..self }
    }

    /// What happened, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        self.message
    }

    /// What was panicked with; `None` if it was an error.
    #[must_use]
    pub fn payload(&self) -> Option<&(dyn Any + Send)> {
        match self.cause {
            Cause::Panic(payload) => Some(payload),
            Cause::Error(_) => None,
        }
    }

    /// The text of the panic, or a note that it carried something else; empty if it was an error.
    #[must_use]
    pub fn panic_message(&self) -> &str {
        match self.cause {
            Cause::Panic(payload) => panic_text(payload),
            Cause::Error(_) => "",
        }
    }

    /// The error; `None` if it was a panic.
    #[must_use]
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        match self.cause {
            Cause::Panic(_) => None,
            Cause::Error(error) => Some(error),
        }
    }

    /// Where the task was created that has panicked; known in [debug mode](crate::debug).
    #[must_use]
    pub fn task_location(&self) -> Option<&'static Location<'static>> {
        self.location
    }

    /// The name of the task it happened in, if it was one.
    #[must_use]
    pub fn task_name(&self) -> Option<&str> {
        self.task
    }
}

impl fmt::Debug for ErrorContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("ErrorContext");
        f.field("message", &self.message);
        match self.cause {
            Cause::Panic(payload) => f.field("panic", &panic_text(payload)),
            Cause::Error(error) => f.field("error", error),
        };
        f.field("task", &self.task).finish()
    }
}

impl fmt::Display for ErrorContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(task) = self.task {
            match self.location {
                Some(location) => write!(f, " (task {task} created at {location})")?,
                None => write!(f, " (task {task})")?,
            }
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(payload) => f.write_str(panic_text(*payload)),
            Self::Error(error) => error.fmt(f),
        }
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic whose payload is not a text"
    }
}

/// Writes to standard error, whatever becomes of that.
pub(crate) fn default_handler(context: &ErrorContext<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "evloop: {context}");
}

/// Drops a payload whose own destructor may panic.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(next) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when dropped, with a payload: it is not given a third chance.
        std::mem::forget(next);
    }
}
