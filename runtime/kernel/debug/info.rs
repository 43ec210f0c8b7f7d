//! What a report says of a task or of a callback: plain data, for any thread and for later.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// Which task it was, for a report: it may have ended when this is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    pub(crate) id: u64,
    /// What was set.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: Option<&'static Location<'static>>,
}

impl TaskInfo {
    /// The task's [number](crate::TaskRef::id).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name that the task had when this was made, or `Task-` and its number.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match &self.name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("Task-{}", self.id)),
        }
    }

    /// Where the task was created; `None` if it had ended already.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match self.location {
            Some(location) => write!(f, " created at {location}"),
            None => Ok(()),
        }
    }
}

/// What runs: the step of a task, or a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// From one `await` of a task to the next.
    Task(TaskInfo),
    /// A callback, with the place where it was scheduled, if that was in the program's own code.
    Callback(Option<&'static Location<'static>>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "a step of task {task}"),
            Self::Callback(Some(location)) => write!(f, "a callback scheduled at {location}"),
            Self::Callback(None) => f.write_str("a callback"),
        }
    }
}
