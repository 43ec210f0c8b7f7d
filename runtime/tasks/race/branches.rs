//! What can race: tuples, arrays, vectors and iterators of futures; and how their branches are kept.
//!
//! The branches of a tuple stand side by side in the race itself, as a chain of links, each with the rest
//! inside; those of an iterator have a box each.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use pin_project_lite::pin_project;

use super::branch::{Branch, Visit};

/// What [`race`](crate::race()) takes: tuples of up to twelve, arrays, vectors, and iterators, of futures with
/// one output type. `Kind` tells tuples from iterators and is inferred.
pub trait Raceable<Kind> {
    /// What each of the futures gives.
    type Output;
    /// The futures as branches of a race.
    type Branches: Branches<Output = Self::Output>;

    /// Makes branches of the futures, in order.
    fn into_branches(self) -> Self::Branches;
}

/// A set of branches; an implementation detail of [`Raceable`].
pub trait Branches {
    /// What each of them gives.
    type Output;

    /// Shows the branches to `visit`, in order, until it says `false`.
    #[doc(hidden)]
    fn visit(self: Pin<&mut Self>, visit: &mut Visit<'_, Self::Output>);
    #[doc(hidden)]
    fn is_empty(&self) -> bool;
}

/// Marks iterators as [`Raceable`].
#[derive(Debug)]
pub struct ByIterator;

impl<I: IntoIterator<Item: IntoFuture>> Raceable<ByIterator> for I {
    type Output = <I::Item as IntoFuture>::Output;
    type Branches = Vec<Pin<Box<Branch<<I::Item as IntoFuture>::IntoFuture>>>>;

    fn into_branches(self) -> Self::Branches {
        self.into_iter().map(|future| Box::pin(Branch::new(future.into_future()))).collect()
    }
}

/// Branches that have a box each.
pub(super) type Boxed<F> = Vec<Pin<Box<Branch<F>>>>;

impl<F: Future> Branches for Boxed<F> {
    type Output = F::Output;

    fn visit(self: Pin<&mut Self>, visit: &mut Visit<'_, F::Output>) {
        for branch in self.get_mut() {
            if !visit(branch.as_mut()) {
                return;
            }
        }
    }

    fn is_empty(&self) -> bool {
        <[_]>::is_empty(self)
    }
}

/// Marks tuples as [`Raceable`].
#[derive(Debug)]
pub struct ByTuple;

pin_project! {
    /// A branch, and those after it.
    #[derive(Debug)]
    pub struct Link<F, Rest> {
        #[pin]
        branch: Branch<F>,
        #[pin]
        rest: Rest,
    }
}

/// After the last branch.
pub struct End<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for End<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

impl<F: Future, Rest: Branches<Output = F::Output>> Branches for Link<F, Rest> {
    type Output = F::Output;

    fn visit(self: Pin<&mut Self>, visit: &mut Visit<'_, F::Output>) {
        let this = self.project();
        if visit(this.branch) {
            this.rest.visit(visit);
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl<T> Branches for End<T> {
    type Output = T;

    fn visit(self: Pin<&mut Self>, _: &mut Visit<'_, T>) {}

    fn is_empty(&self) -> bool {
        true
    }
}

macro_rules! chain_type {
    ($T:ident) => { End<$T> };
    ($T:ident, $F:ident $(, $rest:ident)*) => {
        Link<$F::IntoFuture, chain_type!($T $(, $rest)*)>
    };
}

macro_rules! chain {
    () => { End(PhantomData) };
    ($f:ident $(, $rest:ident)*) => {
        Link { branch: Branch::new($f.into_future()), rest: chain!($($rest),*) }
    };
}

macro_rules! tuples {
    ($(($($F:ident $f:ident),+))+) => { $(
        impl<T, $($F: IntoFuture<Output = T>),+> Raceable<ByTuple> for ($($F,)+) {
            type Output = T;
            type Branches = chain_type!(T, $($F),+);

            fn into_branches(self) -> Self::Branches {
                let ($($f,)+) = self;
                chain!($($f),+)
            }
        }
    )+ };
}

tuples! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
    (A a, B b, C c, D d, E e)
    (A a, B b, C c, D d, E e, F f)
    (A a, B b, C c, D d, E e, F f, G g)
    (A a, B b, C c, D d, E e, F f, G g, H h)
    (A a, B b, C c, D d, E e, F f, G g, H h, I i)
    (A a, B b, C c, D d, E e, F f, G g, H h, I i, J j)
    (A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k)
    (A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l)
}
