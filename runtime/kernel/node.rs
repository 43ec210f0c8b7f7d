//! One node, as the future that owns it sees it: attach, poll, be taken, pass on.

use std::task::{Context, Poll, Waker};

use super::context::{Home, Shared, with_current};
use super::scope::delivery::{Delivery, Offer, Raised};
use super::scope::tree::{NIL, NodeKey, Place, ScopeTree, Wakers};
use super::task::{
    current_root, extend, is_queued, may_extend, note_woken, poll_again, poll_under, wake_all,
};

/// What a poll of a node's content came to.
pub(crate) enum Polled<T> {
    Ready(T),
    Pending,
    /// The node accepted this. The owner drops the content before it does anything else.
    Taken(Delivery),
}

/// What a poll of a node that contains nothing came to: one that waits for tasks.
pub(crate) enum Leaf {
    /// Nothing was offered.
    Waits,
    /// The node accepted this. The owner passes it to what it waits for, and holds it until that has ended.
    Taken(Delivery),
    /// It has passed its delivery on: the owner pends for ever.
    Dead,
}

/// A node's owner: a key into the tree of the loop it was first polled in. Plain data, hence `Send`.
///
/// Dropping it removes the node; what waited in it goes to the parent. Owners declare their content
/// before their scope, so that the content goes first.
#[derive(Debug)]
pub(crate) struct Scope {
    loop_id: u64,
    key: NodeKey,
    /// A cleanup: it takes new requests, not what it itself delays.
    cleanup: bool,
    /// The node stays when its content is ready: a cleanup, or a group's wait, follows in it.
    stays: bool,
    /// It takes nothing and only gathers what one of its owner's branches passes on.
    branch: bool,
}

impl Scope {
    pub(crate) const fn new() -> Self {
        Self { loop_id: 0, key: NodeKey::NULL, cleanup: false, stays: false, branch: false }
    }

    /// A scope that something follows in, a cleanup or a wait: it stays when its content is ready.
    pub(crate) const fn staying() -> Self {
        Self { loop_id: 0, key: NodeKey::NULL, cleanup: false, stays: true, branch: false }
    }

    /// The scope around a cleanup.
    pub(crate) const fn for_cleanup() -> Self {
        Self { loop_id: 0, key: NodeKey::NULL, cleanup: true, stays: false, branch: false }
    }

    /// The scope around one of several branches of its owner's. Offers from outside pass it by, so a branch
    /// without scopes of its own stands beside the others as in a `join!`; what the branch passes on ends
    /// here first, and offers of its own end the branch alone.
    pub(crate) const fn for_branch() -> Self {
        Self { loop_id: 0, key: NodeKey::NULL, cleanup: false, stays: false, branch: true }
    }

    /// Puts the node below the node that polls, making it at first; stores the waker.
    fn attach(&mut self, shared: &Shared, home: &Home, cx: &Context<'_>) {
        let parent = match home.current_node.get() {
            NIL => current_root(home),
            node => node,
        };
        let place = match self.loop_id == shared.id {
            true => home.scopes.borrow().place_of(self.key, parent, cx.waker()),
            false => Place::Nowhere,
        };
        match place {
            Place::Here => {}
            Place::Nowhere => {
                let waker = cx.waker().clone();
                self.key = home.scopes.borrow_mut().insert(parent, Some(waker));
                self.loop_id = shared.id;
                if self.branch {
                    // Whoever looks for somebody who can take an offer looks past it, at what is below.
                    home.scopes.borrow_mut().set_dead(self.key.index);
                }
            }
            Place::Elsewhere => self.move_to(home, parent, cx),
        }
    }

    /// Relinks the node below another parent, or gives it another waker.
    #[cold]
    fn move_to(&self, home: &Home, parent: u32, cx: &Context<'_>) {
        let wakers = home.scopes.borrow_mut().relink(self.key.index, parent);
        let waker = cx.waker().clone();
        let former = home.scopes.borrow_mut().set_waker(self.key.index, waker);
        drop(former);
        wake_all(wakers);
    }

    /// Polls the node as one that contains nothing.
    pub(crate) fn poll_leaf(&mut self, cx: &Context<'_>) -> Leaf {
        let polled = with_current(|block, home| {
            self.attach(block.shared(), home, cx);
            if self.is_dead(home) {
                return Leaf::Dead;
            }
            self.take(home).map_or(Leaf::Waits, Leaf::Taken)
        });
        polled.unwrap_or(Leaf::Waits)
    }

    /// Polls `content` as what this node contains.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut content: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Polled<T> {
        let polled = with_current(|block, home| {
            self.attach(block.shared(), home, cx);
            let index = self.key.index;
            if home.scopes.borrow().is_quiet(index) {
                // The usual way: no offer is open, and nothing waits in this node.
                return match self.poll_inside(home, cx, &mut content) {
                    Poll::Ready(value) => self.ready(value),
                    Poll::Pending if home.scopes.borrow().is_quiet(index) => Polled::Pending,
                    Poll::Pending => self.pass_on(home, cx, &mut content),
                };
            }
            let kept = home.scopes.borrow_mut().take_own_offer(index);
            self.poll_attached(home, cx, kept, &mut content)
        });
        // Outside of a loop there is no tree and no cancellation.
        polled.unwrap_or_else(|| match content(cx) {
            Poll::Ready(value) => Polled::Ready(value),
            Poll::Pending => Polled::Pending,
        })
    }

    /// Polls `content` under an offer of the node's own, which [`is_own`](Self::is_own) will know again: a
    /// deadline is due, a child has failed, a branch has lost.
    ///
    /// # Panics
    /// Outside of a loop: nobody is there who could take the offer, and to wait for that would be for ever.
    pub(crate) fn poll_with_own_offer<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut content: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Polled<T> {
        let polled = with_current(|block, home| {
            self.attach(block.shared(), home, cx);
            let offer = {
                let mut tree = home.scopes.borrow_mut();
                let serial = tree.next_serial();
                let mut offer = Offer::new(self.key, serial, home.step());
                tree.coalesce(self.key, &mut offer);
                offer
            };
            self.poll_attached(home, cx, Some(offer), &mut content)
        });
        polled.expect("a deadline or a group needs a running loop: await it inside of evloop::run")
    }

    fn poll_attached<T>(
        &mut self,
        home: &Home,
        cx: &mut Context<'_>,
        own: Option<Offer>,
        content: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Polled<T> {
        let index = self.key.index;
        // What nothing below can take is taken at once; the content is not polled again.
        if (own.is_some() || !home.scopes.borrow().open.is_empty())
            && !home.scopes.borrow().has_live_below(index)
        {
            if let Some(taken) = self.take(home) {
                return self.taken(home, taken);
            }
            if let Some(offer) = own.as_ref().filter(|o| !home.scopes.borrow().is_served(index, o.id)) {
                return self.taken(home, self.own_delivery(home, offer));
            }
        }
        let own = match own {
            None => match self.poll_inside(home, cx, content) {
                Poll::Ready(value) => return self.ready(value),
                Poll::Pending => None,
            },
            Some(mut offer) => {
                offer.woken = is_queued(home);
                let wakers = home.scopes.borrow_mut().wakers_below(index);
                wake_all(wakers);
                let (result, offer) = poll_under(home, offer, || self.poll_inside(home, cx, content));
                match result {
                    Poll::Ready(value) => return self.ready(value),
                    Poll::Pending => Some(offer),
                }
            }
        };
        if let Some(taken) = self.take_late(home) {
            return self.taken(home, taken);
        }
        if let Some(mut offer) = own {
            if extend(home, &mut offer) {
                let wakers = {
                    let mut tree = home.scopes.borrow_mut();
                    tree.keep_own_offer(index, offer);
                    tree.wakers_below(index)
                };
                wake_all(wakers);
                cx.waker().wake_by_ref();
            } else if !home.scopes.borrow().is_served(index, offer.id) {
                return self.taken(home, self.own_delivery(home, &offer));
            }
        }
        self.pass_on(home, cx, content)
    }

    /// Moves outwards what was raised here, when nothing below is busy and nobody new wants it.
    fn pass_on<T>(
        &mut self,
        home: &Home,
        cx: &mut Context<'_>,
        content: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Polled<T> {
        let index = self.key.index;
        loop {
            let (again, raised, wakers) = {
                let mut tree = home.scopes.borrow_mut();
                let Some(again) = tree.next_offer_again(index, home.step()) else {
                    return Polled::Pending;
                };
                let wakers = if again.is_some() { tree.wakers_below(index) } else { Wakers::new() };
                (again, tree.raised(index), wakers)
            };
            wake_all(wakers);
            let Some(offer) = again else {
                return raised.map_or(Polled::Pending, |r| self.taken(home, r.delivery));
            };
            if let Poll::Ready(value) = poll_again(home, offer, || self.poll_inside(home, cx, content)) {
                return self.ready(value);
            }
        }
    }

    fn poll_inside<T>(
        &self,
        home: &Home,
        cx: &mut Context<'_>,
        content: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let _inside = Inside::enter(home, self.key.index);
        content(cx)
    }

    fn ready<T>(&mut self, value: T) -> Polled<T> {
        if !self.stays {
            self.release();
        }
        Polled::Ready(value)
    }

    /// Takes every open offer that this node may take; returns what they are together.
    fn take(&self, home: &Home) -> Option<Delivery> {
        let mut tree = home.scopes.borrow_mut();
        let index = self.key.index;
        if tree.open.is_empty() || tree.is_dead(index) {
            return None;
        }
        let mut result: Option<Delivery> = None;
        for i in 0..tree.open.len() {
            let (origin, id, first, born, again, asked) = {
                let o = &tree.open[i];
                (o.origin, o.id, o.first, o.born, o.again, o.asked)
            };
            let busy = again && (self.cleanup || tree.is_busy_below(index));
            if self.key.born >= born || busy || tree.is_served(index, id) {
                continue;
            }
            tree.open[i].took = true;
            tree.open[i].took_now = true;
            tree.mark_served(index, id);
            if let Some(first) = first {
                tree.mark_served(index, first);
            }
            // Who was not there then hears of it only now.
            let asked = if self.key.born < asked { asked } else { tree.moment() };
            let delivery = Delivery { origin, offer: first.unwrap_or(id), step: home.step(), asked };
            result = Some(match result {
                Some(other) => tree.outermost(index, other, delivery),
                None => delivery,
            });
        }
        if let Some(delivery) = result
            && let Some(undecided) = tree.take_undecided_above(index)
        {
            result = Some(tree.outermost(index, delivery, undecided));
        }
        result
    }

    /// As [`take`](Self::take), after the content was polled: not if it may still come to an offer.
    fn take_late(&self, home: &Home) -> Option<Delivery> {
        if home.scopes.borrow().open.is_empty() {
            return None;
        }
        note_woken(home);
        let waits = {
            let tree = home.scopes.borrow();
            tree.open.iter().any(|o| !tree.is_served(self.key.index, o.id) && may_extend(home, o))
        };
        if waits { None } else { self.take(home) }
    }

    fn own_delivery(&self, home: &Home, offer: &Offer) -> Delivery {
        home.scopes.borrow_mut().mark_served(self.key.index, offer.id);
        Delivery { origin: self.key, offer: offer.id, step: home.step(), asked: offer.asked }
    }

    /// The node accepts: all that waits inside joins in.
    fn taken<T>(&self, home: &Home, delivery: Delivery) -> Polled<T> {
        let mut wakers = Wakers::new();
        let all = home.scopes.borrow_mut().absorb(self.key.index, Some(delivery), &mut wakers);
        wake_all(wakers);
        Polled::Taken(all.unwrap_or(delivery))
    }

    /// Whether a delivery comes from this node itself.
    pub(crate) fn is_own(&self, delivery: &Delivery) -> bool {
        delivery.origin == self.key
    }

    /// Whether something below holds a delivery or cleans up; `None` where the node is not in the tree.
    pub(crate) fn is_busy_below(&mut self) -> Option<bool> {
        self.in_tree(|tree, key, _| tree.is_busy_below(key.index))
    }

    /// Takes back an offer of the node's own that was kept for the next step, if nobody has taken it and
    /// something below cleans up by itself since: the offer would cut that.
    pub(crate) fn take_back_own_offer(&mut self) -> bool {
        let taken_back = self.in_tree(|tree, key, _| {
            if !tree.is_busy_below(key.index) {
                return false;
            }
            let Some(offer) = tree.take_own_offer(key.index) else { return false };
            let took = offer.took;
            if took {
                tree.keep_own_offer(key.index, offer);
            }
            !took
        });
        taken_back == Some(true)
    }

    /// Passes a delivery on to the parent. The node is dead from here on: its owner pends for ever.
    pub(crate) fn raise_out(&mut self, delivery: Delivery) {
        self.in_tree(|tree, key, wakers| {
            tree.set_dead(key.index);
            let parent = tree.parent(key.index);
            tree.raise(parent, Raised { delivery, persists: true }, wakers);
        });
    }

    /// Accepts a delivery without deciding about it yet.
    pub(crate) fn hold(&mut self, delivery: Delivery) {
        self.in_tree(|tree, key, _| tree.hold(key.index, delivery));
    }

    /// Accepts what was raised here, if there is something.
    pub(crate) fn hold_raised(&mut self) -> Option<Delivery> {
        self.in_tree(|tree, key, _| {
            let delivery = tree.take_raised(key.index)?.delivery;
            tree.hold(key.index, delivery);
            Some(delivery)
        })
        .flatten()
    }

    /// Decides about what is held.
    pub(crate) fn take_hold(&mut self) -> Option<Delivery> {
        self.in_tree(|tree, key, wakers| {
            let (hold, more) = tree.take_hold(key.index);
            wakers.extend(more);
            hold
        })
        .flatten()
    }

    /// Says whether a cleanup runs in here.
    pub(crate) fn set_cleaning(&mut self, cleaning: bool) {
        self.in_tree(|tree, key, wakers| wakers.extend(tree.set_cleaning(key.index, cleaning)));
    }

    /// A cleanup in here has ended; `taken` is what ended it, if it did not end by itself. What is held
    /// goes on outwards, and the owner pends for ever.
    pub(crate) fn end_cleanup(&mut self, taken: Option<Delivery>) {
        if let Some(delivery) = taken {
            self.hold(delivery);
        }
        self.set_cleaning(false);
        match self.take_hold() {
            Some(delivery) => self.raise_out(delivery),
            // The task it was held in has ended, and the owner has moved to another one, which must not
            // wait for ever.
            None => raise_here(None),
        }
    }

    /// Whether the node holds a delivery that is not decided yet.
    pub(crate) fn holds(&mut self) -> bool {
        self.in_tree(|tree, key, _| tree.has_hold(key.index)).unwrap_or(false)
    }

    /// Registers a token at the parent for what this node caught.
    pub(crate) fn make_token(&mut self, delivery: Delivery) -> Token {
        let loop_id = self.loop_id;
        let token = self.in_tree(|tree, key, _| {
            let home = tree.parent(key.index);
            Token { loop_id, home: tree.key(home), id: tree.add_token(home, delivery) }
        });
        token.unwrap_or(Token { loop_id, home: NodeKey::NULL, id: 0 })
    }

    /// Whether the node has passed its delivery on: its owner pends for ever.
    fn is_dead(&self, home: &Home) -> bool {
        home.scopes.borrow().is_dead(self.key.index)
    }

    /// Whether the node is in the tree, alive, and nothing waits in it or is offered: its owner may take
    /// the short way out.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        with_current(|block, home| {
            let tree = home.scopes.borrow();
            let index = self.key.index;
            block.shared().id == self.loop_id
                && tree.is_quiet(index)
                && tree.is_alive(self.key)
                && !tree.is_dead(index)
        }) == Some(true)
    }

    /// Whether the node is in the tree.
    pub(crate) fn is_attached(&self) -> bool {
        self.key != NodeKey::NULL
    }

    /// Polls something inside this node without taking part in any offer: a cleanup, whose own scope
    /// does.
    pub(crate) fn poll_aside<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut content: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        with_current(|block, home| {
            self.attach(block.shared(), home, cx);
            self.poll_inside(home, cx, &mut content)
        })
        .unwrap_or_else(|| content(cx))
    }

    fn in_tree<R>(&mut self, f: impl FnOnce(&mut ScopeTree, NodeKey, &mut Wakers) -> R) -> Option<R> {
        let mut wakers = Wakers::new();
        let key = self.key;
        let result = with_current(|block, home| {
            (block.shared().id == self.loop_id && home.scopes.borrow().is_alive(key))
                .then(|| f(&mut home.scopes.borrow_mut(), key, &mut wakers))
        });
        wake_all(wakers);
        result.flatten()
    }

    /// Removes the node. What waited in it goes to the parent.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.key == NodeKey::NULL {
            return;
        }
        let key = std::mem::replace(&mut self.key, NodeKey::NULL);
        let waker = with_current(|block, home| {
            if block.shared().id != self.loop_id {
                return None;
            }
            let removed = home.scopes.borrow_mut().remove_idle(key);
            removed.unwrap_or_else(|()| remove_with_what_waits(home, key))
        });
        drop(waker);
    }
}

/// Removes a node in which something waits, or below which something lives.
#[cold]
fn remove_with_what_waits(home: &Home, key: NodeKey) -> Option<Waker> {
    let (waker, wakers) = home.scopes.borrow_mut().remove(key);
    wake_all(wakers);
    waker
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.release();
    }
}

/// A caught delivery in the hands of code: a key into the tree, hence `Send`. Dropping it is a decision to
/// go on, unless a delivery from further out took it over before.
#[derive(Debug)]
pub(crate) struct Token {
    loop_id: u64,
    home: NodeKey,
    id: u64,
}

impl Token {
    /// Passes the delivery on from where this is called.
    pub(crate) fn rethrow(self) {
        raise_here(self.take());
    }

    fn take(&self) -> Option<Delivery> {
        with_current(|block, home| {
            (block.shared().id == self.loop_id)
                .then(|| home.scopes.borrow_mut().take_token(self.home, self.id))
                .flatten()
        })
        .flatten()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.take();
    }
}

/// Raises a delivery where this is called: at the scope that polls. What has no delivery, or one whose
/// origin is not outside of here, becomes a request of the task's own.
pub(crate) fn raise_here(delivery: Option<Delivery>) {
    let mut wakers = Wakers::new();
    with_current(|_, home| {
        let root = current_root(home);
        let node = match home.current_node.get() {
            NIL => root,
            node => node,
        };
        let mut tree = home.scopes.borrow_mut();
        let known = delivery.filter(|d| tree.is_self_or_above(d.origin, node));
        let delivery = known.unwrap_or_else(|| {
            let offer = tree.next_serial();
            Delivery { origin: tree.key(root), offer, step: home.step(), asked: offer }
        });
        tree.raise(node, Raised { delivery, persists: true }, &mut wakers);
    });
    wake_all(wakers);
}

/// Sets the node that is being polled back when it goes, also on unwind.
struct Inside<'a> {
    home: &'a Home,
    before: u32,
}

impl<'a> Inside<'a> {
    fn enter(home: &'a Home, node: u32) -> Self {
        Self { home, before: home.current_node.replace(node) }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.home.current_node.set(self.before);
    }
}
