//! What can be gathered: tuples, arrays, vectors and iterators, of tasks or futures.
//!
//! [`Task`] is no future itself, so that both can be children: a trait with an implementation for every
//! future and one for `Task` would otherwise contradict itself.

use super::GatherError;
use crate::kernel::{Task, TaskError, TaskRef};
use crate::tasks::create_task;

/// What can be a child: a [`Task`], which is taken as it is, or a future, which becomes one.
pub trait IntoTask {
    /// What the task gives.
    type Output;

    /// The task.
    #[track_caller]
    fn into_task(self) -> Task<Self::Output>;
}

impl<F: Future + 'static> IntoTask for F {
    type Output = F::Output;

    #[track_caller]
    fn into_task(self) -> Task<F::Output> {
        create_task(self)
    }
}

impl<T> IntoTask for Task<T> {
    type Output = T;

    fn into_task(self) -> Task<T> {
        self
    }
}

/// What [`gather`](crate::gather()) and [`gather_all`](crate::gather_all) take: tuples of up to twelve, arrays, vectors, and iterators, of
/// tasks or futures. `Kind` tells tuples from iterators and is inferred.
pub trait Gatherable<Kind> {
    /// The children as tasks.
    type Children: Children;

    /// Makes tasks of what are none, in order.
    #[track_caller]
    fn start(self) -> Self::Children;
}

/// What [`try_gather`](crate::try_gather) takes: as [`Gatherable`], of children that return `Result` with one error type.
pub trait TryGatherable<Kind>: Gatherable<Kind, Children: TryChildren> {}

impl<Kind, G: Gatherable<Kind, Children: TryChildren>> TryGatherable<Kind> for G {}

/// A set of tasks; an implementation detail of [`Gatherable`].
pub trait Children {
    /// All values.
    type Values;
    /// All outcomes.
    type Results;

    #[doc(hidden)]
    fn refs(&self) -> Vec<TaskRef>;
    /// The error of child `index`, which has failed.
    #[doc(hidden)]
    fn error(&mut self, index: usize) -> TaskError;
    /// All have ended and none has failed.
    #[doc(hidden)]
    fn values(&mut self) -> Self::Values;
    #[doc(hidden)]
    fn results(&mut self) -> Self::Results;
}

/// A set of tasks that return `Result`; an implementation detail of [`TryGatherable`].
pub trait TryChildren: Children {
    /// All good values.
    type Oks;
    /// The error type they have in common.
    type Error;

    #[doc(hidden)]
    fn has_failed(&self, index: usize) -> bool;
    #[doc(hidden)]
    fn failure(&mut self, index: usize) -> GatherError<Self::Error>;
    #[doc(hidden)]
    fn oks(&mut self) -> Self::Oks;
}

const TAKEN: &str = "a gathered task's output was taken elsewhere";

fn value<T>(task: &mut Task<T>) -> T {
    match task.take_result() {
        Some(Ok(value)) => value,
        _ => unreachable!("{TAKEN}"),
    }
}

fn error_of<T>(task: &mut Task<T>) -> TaskError {
    match task.take_result() {
        Some(Err(error)) => error,
        _ => unreachable!("{TAKEN}"),
    }
}

fn failure_of<T, E>(task: &mut Task<Result<T, E>>) -> GatherError<E> {
    match task.take_result() {
        Some(Ok(Err(error))) => GatherError::Failed(error),
        Some(Err(error)) => GatherError::Task(error),
        _ => unreachable!("{TAKEN}"),
    }
}

fn ok<T, E>(task: &mut Task<Result<T, E>>) -> T {
    match task.take_result() {
        Some(Ok(Ok(value))) => value,
        _ => unreachable!("{TAKEN}"),
    }
}

/// Marks iterators as [`Gatherable`].
#[derive(Debug)]
pub struct ByIterator;

impl<I: IntoIterator<Item: IntoTask>> Gatherable<ByIterator> for I {
    type Children = Vec<Task<<I::Item as IntoTask>::Output>>;

    #[track_caller]
    fn start(self) -> Self::Children {
        let mut children = Vec::new();
        // A loop rather than `map`: the children's place of creation is the caller's.
        for child in self {
            children.push(child.into_task());
        }
        children
    }
}

impl<T> Children for Vec<Task<T>> {
    type Values = Vec<T>;
    type Results = Vec<Result<T, TaskError>>;

    fn refs(&self) -> Vec<TaskRef> {
        self.iter().map(Task::task_ref).collect()
    }

    fn error(&mut self, index: usize) -> TaskError {
        error_of(&mut self[index])
    }

    fn values(&mut self) -> Vec<T> {
        self.iter_mut().map(value).collect()
    }

    fn results(&mut self) -> Self::Results {
        self.iter_mut().map(|task| task.take_result().expect(TAKEN)).collect()
    }
}

impl<T, E> TryChildren for Vec<Task<Result<T, E>>> {
    type Oks = Vec<T>;
    type Error = E;

    fn has_failed(&self, index: usize) -> bool {
        !matches!(self[index].result(), Some(Ok(Ok(_))))
    }

    fn failure(&mut self, index: usize) -> GatherError<E> {
        failure_of(&mut self[index])
    }

    fn oks(&mut self) -> Vec<T> {
        self.iter_mut().map(ok).collect()
    }
}

/// Marks tuples as [`Gatherable`].
#[derive(Debug)]
pub struct ByTuple;

macro_rules! tuples {
    ($(($($T:ident $n:tt),+))+) => { $(
        impl<$($T: IntoTask),+> Gatherable<ByTuple> for ($($T,)+) {
            type Children = ($(Task<$T::Output>,)+);

            #[track_caller]
            fn start(self) -> Self::Children {
                ($(self.$n.into_task(),)+)
            }
        }

        impl<$($T),+> Children for ($(Task<$T>,)+) {
            type Values = ($($T,)+);
            type Results = ($(Result<$T, TaskError>,)+);

            fn refs(&self) -> Vec<TaskRef> {
                vec![$(self.$n.task_ref()),+]
            }

            fn error(&mut self, index: usize) -> TaskError {
                match index {
                    $($n => error_of(&mut self.$n),)+
                    _ => unreachable!("there are fewer children"),
                }
            }

            fn values(&mut self) -> Self::Values {
                ($(value(&mut self.$n),)+)
            }

            fn results(&mut self) -> Self::Results {
                ($(self.$n.take_result().expect(TAKEN),)+)
            }
        }

        impl<Err, $($T),+> TryChildren for ($(Task<Result<$T, Err>>,)+) {
            type Oks = ($($T,)+);
            type Error = Err;

            fn has_failed(&self, index: usize) -> bool {
                match index {
                    $($n => !matches!(self.$n.result(), Some(Ok(Ok(_)))),)+
                    _ => unreachable!("there are fewer children"),
                }
            }

            fn failure(&mut self, index: usize) -> GatherError<Err> {
                match index {
                    $($n => failure_of(&mut self.$n),)+
                    _ => unreachable!("there are fewer children"),
                }
            }

            fn oks(&mut self) -> Self::Oks {
                ($(ok(&mut self.$n),)+)
            }
        }
    )+ };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}
