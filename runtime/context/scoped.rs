//! A value for one future: set while that is polled, taken back after each poll.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Polling, Poll};

use pin_project_lite::pin_project;

use super::ContextVar;
use crate::kernel::{Context, Value, Variable, current_context_to_set};

pin_project! {
    /// The future of [`ContextVar::scope`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Scoped<'a, T: 'static, F> {
        variable: &'a ContextVar<T>,
        // While nobody polls; what the future makes of it stays from poll to poll.
        value: Option<Value>,
        // `None` once it is gone.
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for Scoped<'_, T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.as_ref().get_ref().is_some() {
                // Its destructors are in the scope, too.
                let _swapped = Swapped::new(this.variable.variable(), this.value);
                this.future.set(None);
            }
        }
    }
}

impl<'a, T: 'static, F> Scoped<'a, T, F> {
    pub(super) fn new(variable: &'a ContextVar<T>, value: Value, future: F) -> Self {
        Self { variable, value: Some(value), future: Some(future) }
    }
}

impl<T: 'static, F: Future> Future for Scoped<'_, T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let entered = this.value.clone();
        let _swapped = Swapped::new(this.variable.variable(), this.value);
        let _entered = entered.as_ref().and_then(|value| value.held().enter());
        let future = this.future.as_mut().as_pin_mut().expect("a scope was polled after it was ready");
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<T: 'static, F> fmt::Debug for Scoped<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("variable", &self.variable.name()).finish_non_exhaustive()
    }
}

/// While it lives, a variable has the scope's value, and the scope keeps the one outside; also on unwind.
struct Swapped<'a> {
    context: Context,
    variable: Variable,
    kept: &'a mut Option<Value>,
}

impl<'a> Swapped<'a> {
    fn new(variable: Variable, kept: &'a mut Option<Value>) -> Self {
        let context = current_context_to_set();
        *kept = context.replace(variable, kept.take());
        Self { context, variable, kept }
    }
}

impl Drop for Swapped<'_> {
    fn drop(&mut self) {
        *self.kept = self.context.replace(self.variable, self.kept.take());
    }
}
