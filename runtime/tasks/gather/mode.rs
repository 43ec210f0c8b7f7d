//! What `gather`, `gather_all` and `try_gather` do differently.

use super::GatherError;
use super::children::{Children, TryChildren};
use crate::kernel::{TaskError, TaskRef};

/// What the three functions do differently; an implementation detail of [`Gathering`](super::Gathering).
pub trait Mode<C> {
    /// What awaiting gives.
    type Output;
    #[doc(hidden)]
    /// Whether a child's end may decide, as far as can be told without its type.
    fn may_decide(task: &TaskRef) -> bool;
    #[doc(hidden)]
    /// Whether child `index`, which has ended, ends the whole.
    fn fails(children: &C, index: usize, task: &TaskRef) -> bool;
    #[doc(hidden)]
    fn failure(children: &mut C, index: usize) -> Self::Output;
    #[doc(hidden)]
    fn success(children: &mut C) -> Self::Output;
}

/// The mode of [`gather`](crate::gather()).
#[derive(Debug)]
pub struct Values;
/// The mode of [`gather_all`](crate::gather_all).
#[derive(Debug)]
pub struct Results;
/// The mode of [`try_gather`](crate::try_gather).
#[derive(Debug)]
pub struct Oks;

impl<C: Children> Mode<C> for Values {
    type Output = Result<C::Values, TaskError>;

    fn may_decide(task: &TaskRef) -> bool {
        task.failed()
    }

    fn fails(_: &C, _: usize, task: &TaskRef) -> bool {
        task.failed()
    }

    fn failure(children: &mut C, index: usize) -> Self::Output {
        Err(children.error(index))
    }

    fn success(children: &mut C) -> Self::Output {
        Ok(children.values())
    }
}

impl<C: Children> Mode<C> for Results {
    type Output = C::Results;

    fn may_decide(_: &TaskRef) -> bool {
        false
    }

    fn fails(_: &C, _: usize, _: &TaskRef) -> bool {
        false
    }

    fn failure(children: &mut C, _: usize) -> Self::Output {
        children.results()
    }

    fn success(children: &mut C) -> Self::Output {
        children.results()
    }
}

impl<C: TryChildren> Mode<C> for Oks {
    type Output = Result<C::Oks, GatherError<C::Error>>;

    fn may_decide(_: &TaskRef) -> bool {
        true
    }

    fn fails(children: &C, index: usize, _: &TaskRef) -> bool {
        children.has_failed(index)
    }

    fn failure(children: &mut C, index: usize) -> Self::Output {
        Err(children.failure(index))
    }

    fn success(children: &mut C) -> Self::Output {
        Ok(children.oks())
    }
}
