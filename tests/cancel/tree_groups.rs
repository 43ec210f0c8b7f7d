//! Task groups, and blocks whose deadline moves, in random trees, with what must not happen to them.
//!
//! A group must not return before its children have ended, nor be dropped by a delivery while there are any, nor swallow
//! what it has passed on to them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{TaskGroup, call_later, now, timeout};

use crate::support::iteration;
use crate::tree_world::{Built, Info, Tree, World};

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) body: Box<Tree>,
    pub(crate) children: Vec<Tree>,
    pub(crate) end: GroupEnd,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum GroupEnd {
    /// Nothing ends it but what is in it.
    Value,
    /// The child of this number fails at its end; after the children comes the body.
    Failure(usize),
    /// It is cancelled after so many seconds.
    Cancel(u64),
}

/// When a group asks its own members to end: the iteration, once it is known.
#[derive(Clone, Default)]
struct OwnRequest(Rc<Cell<Option<u64>>>);

impl OwnRequest {
    fn is_made(&self) {
        self.0.set(self.0.get().or(Some(iteration())));
    }

    /// Whether the body may be asked about now: in the iteration of a failure or one of the next two.
    fn may_come(&self) -> bool {
        self.0.get().is_some_and(|at| iteration() <= at + 2)
    }
}

/// In a child: its panic is a failure.
struct AskedByPanic(OwnRequest);

impl Drop for AskedByPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.is_made();
        }
    }
}

impl World {
    pub(crate) async fn group(self: &Rc<Self>, group: Group, info: &Rc<Info>) {
        let Group { body, children, end } = group;
        let (own, infos) = (OwnRequest::default(), Rc::new(RefCell::new(Vec::new())));
        let armed = Rc::new(Cell::new(true));
        let (known, body) = (infos.clone(), self.build(*body, info));
        let _watch = self.watch(&armed, || {
            if known.borrow().iter().any(|child: &Rc<Info>| !child.done()) {
                self.violation("left", "a group with unfinished children".into());
            }
        });
        let count = children.len();
        let running = TaskGroup::try_cancellable(async |tg| {
            for (n, child) in children.into_iter().enumerate() {
                let fails = matches!(end, GroupEnd::Failure(failing) if failing == n);
                let (child, child_info) = self.prepare(child, false);
                let (own, known) = (own.clone(), child_info.clone());
                let task = tg.create_task(async move {
                    let _own = AskedByPanic(own.clone());
                    child.await;
                    if !fails {
                        return Ok(());
                    }
                    own.is_made();
                    known.fails();
                    Err(n)
                });
                child_info.is_task(&task.expect("the group is open: its body has not been suspended"));
                infos.borrow_mut().push(child_info);
            }
            if let GroupEnd::Cancel(after) = end {
                let own = own.clone();
                call_later(secs(after), move || {
                    own.is_made();
                    tg.cancel();
                });
            }
            self.asked_by(&own, body, info).await;
            if matches!(end, GroupEnd::Failure(failing) if failing == count) {
                own.is_made();
                return Err(count);
            }
            Ok(())
        });
        let (mut running, mut forwarded) = (pin!(running), false);
        let ended = poll_fn(|cx| {
            let known = infos.borrow().clone();
            self.forwards(None, &known, &mut forwarded, || running.as_mut().poll(cx))
        })
        .await;
        armed.set(false);
        if infos.borrow().iter().any(|child| !child.done()) {
            self.violation("early", "a group before its children".into());
        }
        match ended {
            Ok(_) if forwarded => self.violation("passed", "a cancelled group returned".into()),
            Ok(None) if !matches!(end, GroupEnd::Cancel(_)) => {
                self.violation("unasked", "a group ended its body".into());
            }
            Ok(_) => {}
            Err(_) if own.0.get().is_none() => self.violation("unasked", "a group failed".into()),
            // What it had passed on comes at the next suspension.
            Err(_) => info.drops(),
        }
    }

    /// A group's body, which is asked by its own group.
    async fn asked_by(&self, own: &OwnRequest, mut body: Built, info: &Info) {
        poll_fn(|cx| {
            if own.may_come() {
                info.deadline_comes();
            }
            body.as_mut().poll(cx)
        })
        .await;
    }

    pub(crate) async fn block(
        self: &Rc<Self>,
        (body, n): (Tree, u64),
        (moved, m): (Tree, u64),
        info: &Rc<Info>,
    ) {
        let (body, moved) = (self.build(body, info), self.build(moved, info));
        let deadline = Cell::new(now() + secs(n));
        let result = timeout(secs(n), async |t| {
            let content = async {
                body.await;
                if t.reschedule(now() + secs(m)).is_ok() {
                    deadline.set(now() + secs(m));
                }
                moved.await;
            };
            self.asked_by_deadline(&deadline, content, info).await;
        });
        if result.await.is_err() && now() < deadline.get() {
            self.violation("early", format!("a deadline after {n} or {m}"));
        }
    }
}
