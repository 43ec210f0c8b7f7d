//! Panics and errors that nobody waits for find their way to the exception handler here.

use std::any::Any;
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};

use super::context::with_current;
use super::exception::{ErrorContext, default_handler, discard};

/// Tells the current loop's handler; a handler that fails itself is told to the default one.
pub(crate) fn report(context: &ErrorContext<'_>) {
    let handler = with_current(|_, home| home.handler.borrow().clone()).flatten();
    let Some(handler) = handler else { return default_handler(context) };
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| handler(context))) {
        default_handler(context);
        let message = "the exception handler itself panicked";
        default_handler(&ErrorContext::new(message, &*second, None));
        discard(second);
    }
}

/// Calls foreign code from a place that cannot unwind; a panic is reported as `message`.
pub(crate) fn guarded<R>(message: &str, f: impl FnOnce() -> R) -> Option<R> {
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            report_panic(message, payload);
            None
        }
    }
}

/// Tells a panic that nobody waits for.
pub(crate) fn report_panic(message: &str, payload: Box<dyn Any + Send>) {
    report(&ErrorContext::new(message, &*payload, None));
    discard(payload);
}

/// Tells an error that nobody waits for.
pub(crate) fn report_error(message: &str, error: &(dyn Error + 'static)) {
    report(&ErrorContext::of_error(message, error));
}

/// As [`report_error`], of a task.
pub(crate) fn report_error_of(message: &str, error: &(dyn Error + 'static), task: &str) {
    report(&ErrorContext::of_error(message, error).in_task(task));
}
