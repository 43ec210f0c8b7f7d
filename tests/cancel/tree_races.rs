//! Races and borrowing scopes in random trees, with what must not happen to them.
//!
//! That a race cuts no cleanup of a loser is what the guard of every cleanup says: a race is no request that
//! would be allowed to. Here: no race is ready while a branch of it lives that was polled, and no scope
//! while a child has not ended.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{Scope, race, scope, staggered_race};

use crate::support::iteration;
use crate::tree_world::{Built, Info, Tree, World};

/// Counts while it lives.
struct Living(Rc<Cell<usize>>);

impl Living {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counted from its first poll to its end or drop, which is noted.
async fn counted(branch: Built, count: Rc<Cell<usize>>, info: Rc<Info>) {
    let _ended = Ended(info);
    let _living = Living::new(&count);
    branch.await;
}

/// Notes when a branch has ended.
struct Ended(Rc<Info>);

impl Drop for Ended {
    fn drop(&mut self) {
        // The loop may be going, too.
        if evloop::get_running_loop().is_ok() {
            self.0.raced.set(iteration());
        }
    }
}

impl World {
    pub(crate) async fn race(self: &Rc<Self>, all: Vec<Tree>, info: &Rc<Info>) {
        let count = Rc::new(Cell::new(0));
        let branches = self.build_all(all, info).into_iter();
        let mut branches: Vec<_> =
            branches.map(|branch| counted(branch, count.clone(), info.clone())).collect();
        if branches.len() == 2 {
            let (second, first) = (branches.pop().unwrap(), branches.pop().unwrap());
            self.checked(race((first, second)), &count, "a race").await;
        } else {
            self.checked(race(branches), &count, "a race").await;
        }
    }

    pub(crate) async fn staggered(self: &Rc<Self>, all: Vec<Tree>, delay: Option<u64>, info: &Rc<Info>) {
        let count = Rc::new(Cell::new(0));
        let attempts = self.build_all(all, info).into_iter().enumerate().map(|(n, attempt)| {
            let (count, info) = (count.clone(), info.clone());
            async move || {
                counted(attempt, count, info).await;
                if n % 2 == 1 { Ok(()) } else { Err(()) }
            }
        });
        self.checked(staggered_race(attempts, delay.map(secs)), &count, "a staggered race").await;
    }

    pub(crate) async fn scope(self: &Rc<Self>, all: Vec<Tree>, info: &Rc<Info>) {
        let count = Rc::new(Cell::new(0));
        let mut children = self.build_all(all, info);
        let body = children.remove(0);
        // The body starts the first child; each child starts the next one before it begins itself, or after
        // it has ended.
        let rest = RefCell::new(children);
        let scoped = scope(async |s| {
            start_next(&s, &rest, &count);
            body.await;
        });
        self.checked(scoped, &count, "a scope").await;
    }

    /// Nothing that is counted may be left when `future` is ready.
    async fn checked<T>(&self, future: impl Future<Output = T>, count: &Cell<usize>, what: &str) {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_ready() && count.get() > 0 {
                self.violation("early", format!("{what}, {} left", count.get()));
            }
            polled.map(drop)
        })
        .await;
    }
}

fn start_next<'env>(s: &Scope<'env>, rest: &'env RefCell<Vec<Built>>, count: &'env Rc<Cell<usize>>) {
    let Some(child) = rest.borrow_mut().pop() else { return };
    let early = rest.borrow().len().is_multiple_of(2);
    let (inner, living) = (s.clone(), Living::new(count));
    s.spawn(async move {
        if early {
            start_next(&inner, rest, count);
        }
        child.await;
        drop(living);
        if !early {
            start_next(&inner, rest, count);
        }
    });
}
