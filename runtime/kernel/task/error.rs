//! How a task can end without a value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::exception::panic_text;

/// A task, or something it waited for, was cancelled.
///
/// It is a plain value: having one does not end anything. A task that wants to end cancelled because
/// something it waited for was, says so with [`rethrow`](Self::rethrow).
///
/// # asyncio
/// `asyncio.CancelledError`. There it is thrown; here [`catch_cancel`](crate::catch_cancel) is what
/// `except CancelledError` is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelledError {
    message: Option<Arc<str>>,
}

impl CancelledError {
    /// An error with a message or without.
    #[must_use]
    pub fn new(message: Option<Arc<str>>) -> Self {
        Self { message }
    }

    /// The message given to [`cancel_with`](crate::TaskRef::cancel_with), if any.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "cancelled: {message}"),
            None => f.write_str("cancelled"),
        }
    }
}

impl Error for CancelledError {}

/// What a task panicked with. Clones share the payload.
#[derive(Clone)]
pub struct Panic(Arc<Thrown>);

struct Thrown {
    message: Box<str>,
    /// Until somebody takes it.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The payload of a panic that goes on through a task although somebody has seen to it: the task's end is not
/// reported as a panic that nobody saw.
pub(crate) struct SeenPanic(pub(crate) Panic);

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Arc::new(Thrown { message: panic_text(&*payload).into(), payload: Mutex::new(Some(payload)) }))
    }

    /// The panic's text, or a note that it carried something else.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What was panicked with; its text if a clone of this took it before.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.0.payload.lock().unwrap_or_else(PoisonError::into_inner).take();
        payload.unwrap_or_else(|| Box::new(self.message().to_owned()))
    }

    /// Goes on panicking here, without calling the panic hook again.
    ///
    /// # Panics
    /// Always.
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message())
    }
}

/// Why awaiting a task gave no value.
///
/// # asyncio
/// What `await task` raises: `CancelledError`, or the task's own exception. Ordinary errors are values
/// here: they are inside `T`.
#[derive(Clone, Debug)]
pub enum TaskError {
    /// The task was cancelled.
    Cancelled(CancelledError),
    /// The task panicked.
    Panicked(Panic),
}

impl TaskError {
    /// Whether the task was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(error) => write!(f, "the task was {error}"),
            Self::Panicked(panic) => write!(f, "the task {panic}"),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cancelled(error) => Some(error),
            Self::Panicked(_) => None,
        }
    }
}
