//! What went wrong in a group: all errors of its children, and a refusal.

use std::error::Error;
use std::fmt;
use std::slice;
use std::vec;

/// The errors of a task group's children and body, in the order in which they came; the body's is the last.
/// There is always at least one.
///
/// # asyncio
/// `ExceptionGroup`, raised by a `TaskGroup`. What `except*` does there, [`split`](Self::split) does here.
///
/// # Examples
/// ```
/// use evloop::{TaskGroup, time::millis};
///
/// evloop::run(async {
///     let failed = TaskGroup::try_scope(async |tg| {
///         let _ = tg.create_task(async { "x".parse::<i32>() });
///         evloop::sleep(millis(1)).await; // cancelled by the failure
///         Ok(())
///     });
///     let errors = failed.await.unwrap_err();
///     assert_eq!(errors.len(), 1);
///     assert_eq!(errors.to_string(), "1 error: invalid digit found in string");
/// });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorGroup<E> {
    errors: Vec<E>,
}

#[expect(clippy::len_without_is_empty, reason = "it never is")]
impl<E> ErrorGroup<E> {
    /// `None` if there is nothing in it.
    pub(super) fn new(errors: Vec<E>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// The errors, in the order in which they came.
    pub fn iter(&self) -> slice::Iter<'_, E> {
        self.errors.iter()
    }

    /// The one that came first, which cancelled the others.
    #[must_use]
    pub fn first(&self) -> &E {
        &self.errors[0]
    }

    /// As [`first`](Self::first), by value; the others are dropped.
    #[must_use]
    pub fn into_first(mut self) -> E {
        self.errors.swap_remove(0)
    }

    /// How many there are: at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Parts the errors for which `pick` holds from the rest; both keep their order. `None` stands for a part
    /// in which nothing is.
    ///
    /// # asyncio
    /// `group.split(predicate)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::TaskGroup;
    ///
    /// evloop::run(async {
    ///     let failed = TaskGroup::try_scope::<(), _>(async |tg| {
    ///         let _ = tg.create_task(async { Err::<(), _>(404) });
    ///         let _ = tg.create_task(async { Err::<(), _>(500) });
    ///         Ok(())
    ///     });
    ///     let (not_found, rest) = failed.await.unwrap_err().split(|&code| code == 404);
    ///     assert_eq!(not_found.unwrap().into_iter().collect::<Vec<_>>(), [404]);
    ///     assert_eq!(rest.unwrap().first(), &500);
    /// });
    /// ```
    #[must_use]
    pub fn split(self, mut pick: impl FnMut(&E) -> bool) -> (Option<Self>, Option<Self>) {
        let (picked, rest) = self.errors.into_iter().partition(|error| pick(error));
        (Self::new(picked), Self::new(rest))
    }
}

impl<E> IntoIterator for ErrorGroup<E> {
    type Item = E;
    type IntoIter = vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

impl<'a, E> IntoIterator for &'a ErrorGroup<E> {
    type Item = &'a E;
    type IntoIter = slice::Iter<'a, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E: fmt::Debug> fmt::Debug for ErrorGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ErrorGroup").field(&self.errors).finish()
    }
}

/// All of them, in one line; with `{:#}` each in a line of its own.
impl<E: fmt::Display> fmt::Display for ErrorGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.errors.len() == 1 { "" } else { "s" };
        write!(f, "{} error{plural}:", self.errors.len())?;
        for (n, error) in self.errors.iter().enumerate() {
            if f.alternate() {
                // A group inside of this one is indented, too.
                write!(f, "\n  {}", format!("{error:#}").replace('\n', "\n  "))?;
            } else {
                write!(f, "{} {error}", if n == 0 { "" } else { ";" })?;
            }
        }
        Ok(())
    }
}

impl<E: Error + 'static> Error for ErrorGroup<E> {
    /// The first one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.first())
    }
}

/// A task group takes no more tasks: it has ended, or it is ending because a child failed or it was cancelled.
/// The future that was to become a task is dropped.
///
/// # asyncio
/// The `RuntimeError` of `TaskGroup.create_task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupClosed;

impl fmt::Display for GroupClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task group has ended or is being cancelled; it takes tasks until then only")
    }
}

impl Error for GroupClosed {}
