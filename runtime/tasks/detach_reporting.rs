//! Detaching a task without losing its error.

use std::error::Error;
use std::fmt;

use crate::kernel::{Task, report_error_of};

impl<T: 'static, E: fmt::Debug + 'static> Task<Result<T, E>> {
    /// Lets the task run on by itself; should it end with `Err` or with a panic, the loop's exception handler
    /// is told.
    ///
    /// A panic is told after [`detach`](Task::detach), too; an `Err` is not, since a task that nobody awaits
    /// may well return one. A cancellation is no error.
    ///
    /// # asyncio
    /// What the garbage collector does for a task with an exception that was never retrieved.
    ///
    /// # Examples
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use evloop::{create_task, get_running_loop, time::millis};
    ///
    /// evloop::run(async {
    ///     let told = Rc::new(RefCell::new(String::new()));
    ///     let event_loop = get_running_loop().unwrap();
    ///     event_loop.set_exception_handler({
    ///         let told = told.clone();
    ///         move |context| *told.borrow_mut() = context.error().unwrap().to_string()
    ///     });
    ///     create_task(async { "x".parse::<u32>() }).detach_reporting();
    ///     evloop::sleep(millis(1)).await;
    ///     assert_eq!(*told.borrow(), "ParseIntError { kind: InvalidDigit }");
    /// });
    /// ```
    pub fn detach_reporting(self) {
        let task = self.task_ref();
        let detached = Detached(self);
        // Called or dropped with the loop: it reports either way.
        task.add_done_callback(move |_| drop(detached));
    }
}

/// Reports what became of its task when it is dropped.
struct Detached<T, E: fmt::Debug>(Task<Result<T, E>>);

impl<T, E: fmt::Debug> Drop for Detached<T, E> {
    fn drop(&mut self) {
        // The panic of a task that panicked is not looked at: it is reported with the task's own end.
        if self.0.failed() {
            return;
        }
        if let Some(Ok(Err(error))) = self.0.result() {
            let error = Shown(format!("{error:?}"));
            report_error_of("a detached task failed", &error, &self.0.name());
        }
    }
}

/// An error as its `Debug` shows it.
#[derive(Debug)]
struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Shown {}
