//! The world in which random trees of scopes live: builds futures from trees and watches them.
//!
//! Every construct is wrapped in a guard that knows what must not happen to it; what happens all the same is
//! written down as a violation. What "must not" means:
//!
//! * *lost*: a task returned a value although it was asked to end and nothing in it swallowed that since;
//! * *cut*: a structured cleanup (of `finally`, of a handler) was dropped although no delivery was opened
//!   in its task since it began;
//! * *skipped*: a `finally` or handler was dropped by a delivery without its cleanup having begun;
//! * *left*: an awaited task or a `gather` was dropped by a delivery while children were unfinished;
//! * *passed*: a cancelled `gather` returned, or an await gave "cancelled" as a value although it had
//!   forwarded the request itself;
//! * *early*: a `TimeoutError` before its deadline;
//! * *touched*: a task was asked to end by the poll or the drop of the shield around it.
//! * *early*: a `TimeoutError` before its deadline, a race before its losers had ended, a scope before its
//!   children had (`tree_races.rs`).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use evloop::tasks::Shield;
use evloop::time::secs;
use evloop::{
    Task, TaskRef, catch_cancel, create_task, finally, gather, on_cancel, shield, sleep, wait_for, yield_now,
};
use futures::future::{Either, join_all, pending, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::support::iteration;
use crate::tree_groups::Group;

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Sleep(u64),
    Yield(u8),
    Never,
    Panic,
    Join(Vec<Tree>),
    Seq(Vec<Tree>),
    Unordered(Vec<Tree>),
    /// Swallows.
    Catch(Box<Tree>),
    /// Body, cleanup, whether it swallows.
    Handler(Box<Tree>, Box<Tree>, bool),
    Finally(Box<Tree>, Box<Tree>),
    WaitFor(Box<Tree>, u64),
    Gather(Vec<Tree>),
    Await(Box<Tree>),
    Shield(Box<Tree>),
    /// Drops its content by plain code after so many seconds.
    Select(Box<Tree>, u64),
    Race(Vec<Tree>),
    /// Attempts, of which every second one succeeds, and the delay between them.
    Staggered(Vec<Tree>, Option<u64>),
    /// The body, and children.
    Scope(Vec<Tree>),
    Group(Group),
    /// A body and its deadline; then another one, when both are moved.
    Block(Box<Tree>, u64, Box<Tree>, u64),
}

/// What is known about one task.
pub(crate) struct Info {
    task: RefCell<Option<TaskRef>>,
    /// When it was last asked to end, when the request behind that was made, when it last heard of one, and when something
    /// in it last swallowed, in event numbers.
    asked: Cell<u64>,
    requested: Cell<u64>,
    heard: Cell<u64>,
    swallowed: Cell<u64>,
    returned: Cell<u64>,
    /// The iteration in which a deadline in it last came.
    deadline: Cell<u64>,
    /// How many requests its steps have seen, and the iteration in which the last one was new.
    seen: Cell<u32>,
    fresh: Cell<u64>,
    /// The iteration in which code in it last dropped something.
    dropped: Cell<u64>,
    /// It has failed, and its group has the error.
    failed: Cell<bool>,
    /// The iterations in which a branch of a race in it, and a cleanup in it, last ended.
    pub(crate) raced: Cell<u64>,
    cleaned: Cell<u64>,
}

impl Info {
    fn cancelling(&self) -> u32 {
        self.task.borrow().as_ref().map_or(0, |task| task.cancelling())
    }

    pub(crate) fn done(&self) -> bool {
        self.task.borrow().as_ref().is_some_and(|task| task.done())
    }

    pub(crate) fn is_task(&self, task: &TaskRef) {
        *self.task.borrow_mut() = Some(task.clone());
    }

    pub(crate) fn fails(&self) {
        self.failed.set(true);
    }

    /// Something in it was dropped, or returned, that leaves a request to the next suspension.
    pub(crate) fn drops(&self) {
        self.dropped.set(iteration());
    }

    /// A scope in it makes an offer of its own.
    pub(crate) fn deadline_comes(&self) {
        self.deadline.set(iteration());
    }
}

#[derive(Default)]
pub(crate) struct World {
    events: Cell<u64>,
    /// Futures built and not dropped yet.
    pub(crate) alive: Cell<i64>,
    /// Plain code drops something right now: nothing of what is dropped is a violation.
    pub(crate) dropping: Cell<bool>,
    pub(crate) violations: RefCell<Vec<(&'static str, String)>>,
    pub(crate) tasks: RefCell<Vec<Rc<Info>>>,
    drop_root: Cell<bool>,
    root_waker: RefCell<Option<Waker>>,
}

pub(crate) type Built = Pin<Box<dyn Future<Output = ()>>>;

struct Alive(Rc<World>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
    }
}

/// Says whether it was dropped by a panic.
struct Panics<'a>(&'a Cell<bool>);

impl Drop for Panics<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() || std::thread::panicking());
    }
}

/// In each task: its end is an event.
struct Ended(Rc<World>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.event();
    }
}

/// Calls its closure when dropped, unless it was told that all is well or plain code drops.
pub(crate) struct Watch<F: FnMut()> {
    world: Rc<World>,
    armed: Rc<Cell<bool>>,
    check: F,
}

impl<F: FnMut()> Drop for Watch<F> {
    fn drop(&mut self) {
        // A panic drops what is beside it, like plain code.
        if self.armed.get() && !self.world.dropping.get() && !std::thread::panicking() {
            (self.check)();
        }
    }
}

/// A shield, and the task inside as its watcher sees it.
struct Shielded {
    world: Rc<World>,
    child: Rc<Info>,
    shield: Option<Shield<Task<()>>>,
}

impl Shielded {
    /// Does something to the shield, of which the task inside must not hear.
    fn unheard<R>(&mut self, f: impl FnOnce(&mut Option<Shield<Task<()>>>) -> R) -> R {
        let before = self.child.cancelling();
        let result = f(&mut self.shield);
        if self.child.cancelling() > before {
            self.world.violation("touched", "a shielded task".into());
        }
        result
    }
}

impl Future for Shielded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.unheard(|shield| {
            Pin::new(shield.as_mut().expect("there until it is dropped")).poll(cx).map(drop)
        })
    }
}

impl Drop for Shielded {
    fn drop(&mut self) {
        self.unheard(|shield| drop(shield.take()));
    }
}

impl World {
    /// The next event number: something happened.
    fn event(&self) -> u64 {
        self.events.set(self.events.get() + 1);
        self.events.get()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    pub(crate) fn violation(&self, kind: &'static str, what: String) {
        self.violations.borrow_mut().push((kind, what));
    }

    fn alive(self: &Rc<Self>) -> Alive {
        self.alive.set(self.alive.get() + 1);
        Alive(self.clone())
    }

    /// Asks a task to end.
    pub(crate) fn cancel(&self, info: &Info) {
        // Asking is no progress: the number is not counted as an event.
        info.asked.set(self.events.get());
        info.requested.set(self.events.get());
        if let Some(task) = &*info.task.borrow() {
            task.cancel();
        }
    }

    fn swallow(&self, info: &Info) {
        info.swallowed.set(self.event());
    }

    /// Drops the root's content by plain code, at its next step.
    pub(crate) fn drop_root(&self) {
        self.drop_root.set(true);
        if let Some(waker) = &*self.root_waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn spawn_root(self: &Rc<Self>, tree: Tree) {
        self.spawn(tree, true).0.detach();
    }

    fn spawn(self: &Rc<Self>, tree: Tree, is_root: bool) -> (Task<()>, Rc<Info>) {
        let (body, info) = self.prepare(tree, is_root);
        let task = create_task(body);
        info.is_task(&task);
        (task, info)
    }

    /// A task's body, and what is to be known about the task.
    pub(crate) fn prepare(
        self: &Rc<Self>,
        tree: Tree,
        is_root: bool,
    ) -> (impl Future<Output = ()> + 'static, Rc<Info>) {
        let info = Rc::new(Info {
            task: RefCell::default(),
            asked: Cell::new(0),
            requested: Cell::new(0),
            heard: Cell::new(0),
            swallowed: Cell::new(0),
            returned: Cell::new(0),
            deadline: Cell::new(0),
            seen: Cell::new(0),
            fresh: Cell::new(0),
            dropped: Cell::new(0),
            failed: Cell::new(false),
            raced: Cell::new(0),
            cleaned: Cell::new(0),
        });
        let number = self.tasks.borrow().len();
        self.tasks.borrow_mut().push(info.clone());
        self.event();
        let (world, own) = (self.clone(), info.clone());
        let mut content = Some(self.build(tree, &info));
        let alive = self.alive();
        let ended = Ended(self.clone());
        let body = async move {
            let _held = (alive, ended);
            let dropped = poll_fn(|cx| {
                if own.cancelling() > own.seen.replace(own.cancelling()) {
                    own.fresh.set(iteration());
                    own.heard.set(world.event());
                }
                world.poll_content(cx, &mut content, is_root)
            })
            .await;
            own.returned.set(world.event());
            // What plain code drops undecided lands at the next suspension; a task that returns before has
            // none. It waits for a cleanup that runs beside it, and the task may return in the step in which
            // that ends.
            let waited = own.dropped.get() >= own.fresh.get() && own.cleaned.get() == iteration();
            let dropped = dropped || own.dropped.get() == iteration() || waited && own.dropped.get() > 0;
            if !dropped && own.asked.get() > 0 && own.swallowed.get() <= own.asked.get() {
                world.violation("lost", format!("task {number} returned a value"));
            }
        };
        (body, info)
    }

    /// Polls what a task contains; `true`: it was dropped by plain code.
    fn poll_content(&self, cx: &mut Context<'_>, content: &mut Option<Built>, is_root: bool) -> Poll<bool> {
        if is_root {
            if self.drop_root.get() {
                self.dropping.set(true);
                *content = None;
                self.dropping.set(false);
                return Poll::Ready(true);
            }
            *self.root_waker.borrow_mut() = Some(cx.waker().clone());
        }
        content.as_mut().expect("polled once after its end").as_mut().poll(cx).map(|()| false)
    }

    pub(crate) fn build_all(self: &Rc<Self>, trees: Vec<Tree>, info: &Rc<Info>) -> Vec<Built> {
        trees.into_iter().map(|tree| self.build(tree, info)).collect()
    }

    pub(crate) fn build(self: &Rc<Self>, tree: Tree, info: &Rc<Info>) -> Built {
        let (world, info, alive) = (self.clone(), info.clone(), self.alive());
        Box::pin(async move {
            let _alive = alive;
            match tree {
                Tree::Sleep(n) => sleep(secs(n)).await,
                Tree::Yield(n) => {
                    for _ in 0..n {
                        yield_now().await;
                    }
                }
                Tree::Never => pending().await,
                // Without the hook, which would print.
                Tree::Panic => std::panic::resume_unwind(Box::new("a leaf")),
                Tree::Join(all) => drop(join_all(world.build_all(all, &info)).await),
                Tree::Seq(all) => {
                    for tree in all {
                        world.build(tree, &info).await;
                    }
                }
                Tree::Unordered(all) => {
                    let all: FuturesUnordered<_> = world.build_all(all, &info).into_iter().collect();
                    all.collect::<()>().await;
                }
                Tree::Catch(body) => {
                    if let Err(cancellation) = catch_cancel(world.build(*body, &info)).await {
                        cancellation.swallow();
                        world.swallow(&info);
                    }
                }
                Tree::Handler(body, cleanup, swallows) => {
                    world.handler(*body, *cleanup, swallows, &info).await;
                }
                Tree::Finally(body, cleanup) => world.finally(*body, *cleanup, &info).await,
                Tree::WaitFor(body, n) => world.wait_for(*body, n, &info).await,
                Tree::Gather(all) => world.gather(all, &info).await,
                Tree::Await(body) => world.join(*body, &info).await,
                Tree::Shield(body) => {
                    let (task, child) = world.spawn(*body, false);
                    Shielded { world, child, shield: Some(shield(task)) }.await;
                }
                Tree::Race(all) => world.race(all, &info).await,
                Tree::Staggered(all, delay) => world.staggered(all, delay, &info).await,
                Tree::Scope(all) => world.scope(all, &info).await,
                Tree::Group(group) => world.group(group, &info).await,
                Tree::Block(body, n, moved, m) => world.block((*body, n), (*moved, m), &info).await,
                Tree::Select(body, n) => {
                    let body = world.build(*body, &info);
                    let time = pin!(sleep(secs(n)));
                    if let Either::Right((_, body)) = select(body, time).await {
                        let before = world.dropping.replace(true);
                        drop(body);
                        info.drops();
                        world.dropping.set(before);
                    }
                }
            }
        })
    }

    async fn handler(self: &Rc<Self>, body: Tree, cleanup: Tree, swallows: bool, info: &Rc<Info>) {
        let armed = Rc::new(Cell::new(false));
        let _watch = self.watch(&armed, || self.violation("skipped", "a handler".into()));
        let body = self.armed(self.build(body, info), &armed);
        let begun = armed.clone();
        on_cancel(body, async move |c| {
            begun.set(false);
            self.cleanup(cleanup, info, false).await;
            if swallows {
                self.swallow(info);
            } else {
                c.rethrow().await
            }
        })
        .await;
        armed.set(false);
    }

    async fn finally(self: &Rc<Self>, body: Tree, cleanup: Tree, info: &Rc<Info>) {
        let armed = Rc::new(Cell::new(false));
        let _watch = self.watch(&armed, || self.violation("skipped", "a finally".into()));
        let returned = Cell::new(false);
        let body = async {
            let _panics = Panics(&returned);
            self.armed(self.build(body, info), &armed).await;
            returned.set(true);
        };
        finally(body, async {
            armed.set(false);
            self.cleanup(cleanup, info, returned.get()).await;
        })
        .await;
    }

    pub(crate) fn watch<F: FnMut()>(self: &Rc<Self>, armed: &Rc<Cell<bool>>, check: F) -> Watch<F> {
        Watch { world: self.clone(), armed: armed.clone(), check }
    }

    /// From its first poll on, `content` must not be dropped without a cleanup.
    async fn armed(&self, content: Built, armed: &Cell<bool>) {
        armed.set(true);
        content.await;
    }

    /// A structured cleanup: may only be dropped for a delivery that was opened since it began. Deliveries
    /// of one step are one: if one opened in this step began it, a deadline of this step must not end it.
    async fn cleanup(self: &Rc<Self>, tree: Tree, info: &Rc<Info>, returned: bool) {
        let text = format!("{tree:?}");
        // A request of this step or the two before that nobody has taken when the body ends by itself lands
        // in the cleanup, like one that comes during it. So does one that comes when a race begins it.
        let other = returned || info.raced.get() == iteration();
        let undelivered = other && info.fresh.get() + 2 >= iteration();
        let asked = if undelivered { 0 } else { info.cancelling() };
        let fresh = !returned && [info.fresh.get(), info.deadline.get()].contains(&iteration());
        let step = iteration() - u64::from(!fresh);
        let armed = Rc::new(Cell::new(true));
        self.event();
        let _watch = self.watch(&armed, || {
            self.event();
            if info.cancelling() <= asked && info.deadline.get() <= step {
                self.violation("cut", text.clone());
            }
        });
        self.build(tree, info).await;
        self.event();
        info.cleaned.set(iteration());
        armed.set(false);
    }

    async fn wait_for(self: &Rc<Self>, body: Tree, n: u64, info: &Rc<Info>) {
        let deadline = Cell::new(evloop::now() + secs(n));
        let content = self.asked_by_deadline(&deadline, self.build(body, info), info);
        let result = wait_for(content, secs(n)).await;
        if result.is_err() && evloop::now() < deadline.get() {
            self.violation("early", format!("a deadline after {n}"));
        }
    }

    /// A deadline that has come polls its content a second time in that step, under its own offer.
    pub(crate) async fn asked_by_deadline(
        &self,
        deadline: &Cell<Instant>,
        content: impl Future<Output = ()>,
        info: &Info,
    ) {
        let (mut content, mut polled, mut opened) = (pin!(content), 0, false);
        poll_fn(|cx| {
            let again = std::mem::replace(&mut polled, iteration()) == iteration();
            if again && !opened && evloop::now() >= deadline.get() {
                opened = true;
                info.deadline_comes();
            }
            content.as_mut().poll(cx)
        })
        .await;
    }

    async fn gather(self: &Rc<Self>, all: Vec<Tree>, info: &Rc<Info>) {
        let (tasks, infos): (Vec<_>, Vec<_>) = all.into_iter().map(|tree| self.spawn(tree, false)).unzip();
        let (mut gathering, armed) = (gather(tasks), Rc::new(Cell::new(true)));
        let _watch = self.watch(&armed, || {
            if infos.iter().any(|child| !child.done()) {
                self.violation("left", "a gather with unfinished children".into());
            }
        });
        let mut forwarded = false;
        let by = Some(&**info);
        poll_fn(|cx| self.forwards(by, &infos, &mut forwarded, || Pin::new(&mut gathering).poll(cx)))
            .await
            .ok();
        armed.set(false);
        if forwarded {
            self.violation("passed", "a cancelled gather returned".into());
        }
    }

    async fn join(self: &Rc<Self>, body: Tree, info: &Rc<Info>) {
        let (task, child) = self.spawn(body, false);
        let (mut waiting, armed) = (task.join(), Rc::new(Cell::new(true)));
        let _watch = self.watch(&armed, || {
            if !child.done() {
                self.violation("left", "an awaited task".into());
            }
        });
        let mut forwarded = false;
        let (by, infos) = (Some(&**info), [child.clone()]);
        let result =
            poll_fn(|cx| self.forwards(by, &infos, &mut forwarded, || Pin::new(&mut waiting).poll(cx))).await;
        armed.set(false);
        let heard_of_it = info.asked.get() > 0 && child.heard.get() > info.requested.get();
        match result {
            // The child has swallowed for its awaiter, when it returned.
            Ok(()) if forwarded || heard_of_it => {
                info.swallowed.set(info.swallowed.get().max(child.returned.get()))
            }
            Err(error) if forwarded && error.is_panic() => self.swallow(info),
            Err(_) if forwarded => self.violation("passed", "an await that had forwarded".into()),
            _ => {}
        }
    }

    /// Polls something that waits for children, and sees whether it asked them to end. If it only passes on what `by` was
    /// asked, a child that has heard of something since then is not asked once more: it may have been of the same moment.
    pub(crate) fn forwards<T>(
        &self,
        by: Option<&Info>,
        children: &[Rc<Info>],
        forwarded: &mut bool,
        poll: impl FnOnce() -> T,
    ) -> T {
        let before: Vec<u32> = children.iter().map(|child| child.cancelling()).collect();
        let result = poll();
        for (child, before) in children.iter().zip(before) {
            if child.cancelling() > before {
                *forwarded = true;
                // It may also pass on what a scope in `by` made just now: who can tell.
                let passed_on = by.filter(|by| by.asked.get() > 0).map(|by| by.requested.get());
                let is_known = |request| child.heard.get() > request || child.requested.get() == request;
                if !passed_on.is_some_and(is_known) {
                    let requested = passed_on.unwrap_or(self.events.get());
                    child.asked.set(self.events.get());
                    child.requested.set(child.requested.get().max(requested));
                }
            }
        }
        result
    }

    /// What can be said when everything has ended, by itself or with the loop.
    pub(crate) fn check_end(&self) {
        for (number, info) in self.tasks.borrow().iter().enumerate() {
            let cancelled = info.task.borrow().as_ref().is_some_and(|task| task.cancelled());
            if cancelled && info.cancelling() == 0 && !info.failed.get() && !self.dropping.get() {
                self.violation("unasked", format!("task {number} ended cancelled"));
            }
        }
        if self.alive.get() != 0 {
            self.violation("leak", format!("{} futures", self.alive.get()));
        }
    }
}
