//! The tree of nodes: pure data, no pointers, and nothing foreign is called in here.
//!
//! Wakers that are to be called come back in a list; the caller wakes them after its borrow has ended.
//!
//! Each node counts the busy nodes below it (`busy_below`): those that hold a delivery or run a cleanup.
//! A raised delivery moves on only when that count is zero, and whatever brings it to zero wakes the
//! nodes concerned.

use std::mem;
use std::task::Waker;

use slab::Slab;

use super::delivery::{Delivery, Offer, Raised};

/// "No node".
pub(crate) const NIL: u32 = u32::MAX;

/// Names a node; `born` never repeats, so a stale key finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeKey {
    pub(crate) index: u32,
    pub(crate) born: u64,
}

impl NodeKey {
    pub(crate) const NULL: Self = Self { index: NIL, born: 0 };
}

/// The answer of [`ScopeTree::place_of`].
pub(crate) enum Place {
    Here,
    /// Another parent or another waker.
    Elsewhere,
    /// Not in the tree.
    Nowhere,
}

/// Wakers to be called when the tree is no longer borrowed.
pub(crate) type Wakers = Vec<Waker>;

struct Node {
    /// The serial number of the first attach; also the generation.
    born: u64,
    parent: u32,
    /// Children form a ring-free list: `first`, then `next` until [`NIL`].
    first: u32,
    next: u32,
    prev: u32,
    /// How many nodes below hold a delivery or clean up.
    busy_below: u32,
    /// It has passed its delivery on and pends for ever.
    dead: bool,
    /// Counted in the ancestors' `busy_below`.
    busy: bool,
    /// A cleanup runs in it.
    cleaning: bool,
    /// Re-offers made for what was raised here.
    reoffers: u8,
    /// Of the last poll; taken when it is called.
    waker: Option<Waker>,
    /// What few nodes need.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    hold: Option<Delivery>,
    raised: Option<Raised>,
    /// The living tokens whose home this node is.
    tokens: Vec<(u64, Delivery)>,
    /// The offers this node has been served, by id.
    served: Vec<u64>,
    /// The node's own offer, kept from one step to the next.
    own: Option<Offer>,
}

/// How many times what was raised at one node is offered to the live nodes below before it moves on.
const REOFFERS: u8 = 8;

pub(crate) struct ScopeTree {
    nodes: Slab<Node>,
    serial: u64,
    /// The offers being made right now: the task's, then those of the scopes being polled.
    pub(crate) open: Vec<Offer>,
}

impl ScopeTree {
    pub(crate) const fn new() -> Self {
        Self { nodes: Slab::new(), serial: 0, open: Vec::new() }
    }

    /// Living nodes, roots included: for leak checks.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The next number of the loop-wide counter that orders births, offers and tokens.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// When somebody who asks now does so: the number that comes next.
    pub(crate) fn moment(&self) -> u64 {
        self.serial + 1
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }

    fn node_mut(&mut self, index: u32) -> Option<&mut Node> {
        self.nodes.get_mut(index as usize)
    }

    fn rare(&self, index: u32) -> Option<&Rare> {
        self.node(index)?.rare.as_deref()
    }

    fn rare_mut(&mut self, index: u32) -> Option<&mut Rare> {
        Some(self.node_mut(index)?.rare.get_or_insert_default())
    }

    pub(crate) fn is_alive(&self, key: NodeKey) -> bool {
        self.node(key.index).is_some_and(|n| n.born == key.born)
    }

    pub(crate) fn key(&self, index: u32) -> NodeKey {
        self.node(index).map_or(NodeKey::NULL, |n| NodeKey { index, born: n.born })
    }

    /// Whether no offer is open and nothing waits in a node.
    #[inline]
    pub(crate) fn is_quiet(&self, index: u32) -> bool {
        self.open.is_empty() && self.node(index).is_some_and(|n| n.rare.is_none())
    }

    /// Whether a node is where it is polled now, with the waker that polls it.
    #[inline]
    pub(crate) fn place_of(&self, key: NodeKey, parent: u32, waker: &Waker) -> Place {
        match self.node(key.index) {
            Some(n) if n.born == key.born => {
                let same = n.parent == parent && n.waker.as_ref().is_some_and(|w| w.will_wake(waker));
                if same { Place::Here } else { Place::Elsewhere }
            }
            _ => Place::Nowhere,
        }
    }

    // ---- Structure ----

    /// Makes a node below `parent` ([`NIL`]: a root). Offers that are open see that something is new.
    pub(crate) fn insert(&mut self, parent: u32, waker: Option<Waker>) -> NodeKey {
        let born = self.next_serial();
        for offer in &mut self.open {
            offer.saw_new = true;
        }
        let index = self.nodes.insert(Node {
            born,
            parent: NIL,
            first: NIL,
            next: NIL,
            prev: NIL,
            busy_below: 0,
            dead: false,
            busy: false,
            cleaning: false,
            reoffers: 0,
            waker,
            rare: None,
        }) as u32;
        self.link(index, parent);
        NodeKey { index, born }
    }

    /// Puts a node that was moved with its future below the node that polls it now.
    pub(crate) fn relink(&mut self, index: u32, parent: u32) -> Wakers {
        let mut wakers = Wakers::new();
        if self.node(index).is_some_and(|n| n.parent != parent) {
            self.unlink(index, &mut wakers);
            self.link(index, parent);
        }
        wakers
    }

    fn link(&mut self, index: u32, parent: u32) {
        let first = match self.node_mut(parent) {
            Some(p) => mem::replace(&mut p.first, index),
            None => NIL,
        };
        if let Some(f) = self.node_mut(first) {
            f.prev = index;
        }
        let Some(n) = self.node_mut(index) else { return };
        n.parent = parent;
        n.next = first;
        n.prev = NIL;
        let busy = n.busy_below + u32::from(n.busy);
        if busy > 0 {
            self.add_busy(parent, busy);
        }
    }

    /// Takes a node and what is below it out of its parent's list; the caller links or removes it.
    fn unlink(&mut self, index: u32, wakers: &mut Wakers) {
        let Some(n) = self.node_mut(index) else { return };
        let (parent, prev, next) = (n.parent, n.prev, n.next);
        let busy = n.busy_below + u32::from(n.busy);
        n.parent = NIL;
        match self.node_mut(prev) {
            Some(p) => p.next = next,
            None => {
                if let Some(p) = self.node_mut(parent) {
                    p.first = next;
                }
            }
        }
        if let Some(f) = self.node_mut(next) {
            f.prev = prev;
        }
        if busy > 0 {
            self.remove_busy(parent, busy, wakers);
        }
    }

    /// Removes a node if that is all there is to do: nothing below it, nothing in it. The usual end; `Err`
    /// leaves it to [`remove`](Self::remove).
    #[inline]
    pub(crate) fn remove_idle(&mut self, key: NodeKey) -> Result<Option<Waker>, ()> {
        match self.node(key.index) {
            Some(n) if n.born == key.born => {
                if n.first != NIL || n.busy || n.busy_below > 0 || n.rare.is_some() {
                    return Err(());
                }
            }
            _ => return Ok(None),
        }
        let node = self.nodes.remove(key.index as usize);
        if let Some(prev) = self.node_mut(node.prev) {
            prev.next = node.next;
        } else if let Some(parent) = self.node_mut(node.parent) {
            parent.first = node.next;
        }
        if let Some(next) = self.node_mut(node.next) {
            next.prev = node.prev;
        }
        Ok(node.waker)
    }

    /// Removes a node whose future is gone. What it held or raised goes to its parent, and so do its
    /// tokens and any children that were forgotten rather than dropped.
    pub(crate) fn remove(&mut self, key: NodeKey) -> (Option<Waker>, Wakers) {
        let mut wakers = Wakers::new();
        if !self.is_alive(key) {
            return (None, wakers);
        }
        let index = key.index;
        let parent = self.node(index).map_or(NIL, |n| n.parent);
        self.set_busy(index, false, &mut wakers);
        while let Some(child) = self.node(index).map(|n| n.first).filter(|&c| c != NIL) {
            self.unlink(child, &mut wakers);
            self.link(child, parent);
        }
        self.unlink(index, &mut wakers);
        let node = self.nodes.remove(index as usize);
        if let Some(rare) = node.rare {
            let rare = *rare;
            if let Some(p) = self.rare_mut(parent) {
                p.tokens.extend(rare.tokens);
            }
            let passed_on = rare.raised.map(|r| r.delivery).into_iter().chain(rare.hold);
            for delivery in passed_on {
                // Its own ends here, and so does that of a scope around it which went before it.
                if !self.is_self_or_above(delivery.origin, parent) {
                    continue;
                }
                // Nothing pends for this one: whoever takes it decides about it.
                self.raise(parent, Raised { delivery, persists: false }, &mut wakers);
            }
        }
        (node.waker, wakers)
    }

    /// Removes a task's root with all that is left below it: the task has ended, its decision stands.
    pub(crate) fn remove_root(&mut self, root: u32) -> Wakers {
        let mut wakers = Wakers::new();
        let mut at = root;
        while let Some(n) = self.node(at) {
            if n.first != NIL {
                at = n.first;
                continue;
            }
            let parent = n.parent;
            self.unlink(at, &mut wakers);
            wakers.extend(self.nodes.remove(at as usize).waker);
            if at == root {
                break;
            }
            at = parent;
        }
        wakers
    }

    // ---- Wakers ----

    /// Stores a waker; returns the former one, to be dropped outside of the borrow.
    pub(crate) fn set_waker(&mut self, index: u32, waker: Waker) -> Option<Waker> {
        self.node_mut(index)?.waker.replace(waker)
    }

    /// Takes the wakers of all nodes below `index`.
    pub(crate) fn wakers_below(&mut self, index: u32) -> Wakers {
        let mut wakers = Wakers::new();
        let mut at = self.first_below(index);
        while at != NIL {
            wakers.extend(self.node_mut(at).and_then(|n| n.waker.take()));
            at = self.next_below(at, index);
        }
        wakers
    }

    // ---- Walks ----

    pub(crate) fn parent(&self, index: u32) -> u32 {
        self.node(index).map_or(NIL, |n| n.parent)
    }

    fn first_below(&self, top: u32) -> u32 {
        self.node(top).map_or(NIL, |n| n.first)
    }

    /// The node after `at` in a walk of everything below `top`, parents first.
    fn next_below(&self, at: u32, top: u32) -> u32 {
        let mut at = at;
        if let Some(n) = self.node(at).filter(|n| n.first != NIL) {
            return n.first;
        }
        while at != top {
            let Some(n) = self.node(at) else { return NIL };
            if n.next != NIL {
                return n.next;
            }
            at = n.parent;
        }
        NIL
    }

    /// Whether some node below can still take a delivery. Ends at the first one, usually at once.
    pub(crate) fn has_live_below(&self, top: u32) -> bool {
        let mut at = self.first_below(top);
        while let Some(n) = self.node(at) {
            if !n.dead {
                return true;
            }
            at = self.next_below(at, top);
        }
        false
    }

    pub(crate) fn is_self_or_above(&self, upper: NodeKey, lower: u32) -> bool {
        let mut at = lower;
        while let Some(n) = self.node(at) {
            if at == upper.index {
                return n.born == upper.born;
            }
            at = n.parent;
        }
        false
    }

    // ---- Busy nodes ----

    pub(crate) fn is_busy_below(&self, index: u32) -> bool {
        self.node(index).is_some_and(|n| n.busy_below > 0)
    }

    fn add_busy(&mut self, from: u32, by: u32) {
        let mut at = from;
        while let Some(n) = self.node_mut(at) {
            n.busy_below += by;
            at = n.parent;
        }
    }

    fn remove_busy(&mut self, from: u32, by: u32, wakers: &mut Wakers) {
        let mut at = from;
        while let Some(n) = self.node_mut(at) {
            n.busy_below = n.busy_below.saturating_sub(by);
            let parent = n.parent;
            self.wake_if_ready(at, wakers);
            at = parent;
        }
    }

    /// A node is ready to pass on what was raised at it once nothing below is busy.
    fn wake_if_ready(&mut self, index: u32, wakers: &mut Wakers) {
        if self.is_ready(index)
            && let Some(n) = self.node_mut(index)
        {
            // A root's waker is its task's own, set once; any other comes with each poll.
            wakers.extend(if n.parent == NIL { n.waker.clone() } else { n.waker.take() });
        }
    }

    pub(crate) fn is_ready(&self, index: u32) -> bool {
        self.node(index)
            .is_some_and(|n| n.busy_below == 0 && n.rare.as_ref().is_some_and(|r| r.raised.is_some()))
    }

    fn set_busy(&mut self, index: u32, busy: bool, wakers: &mut Wakers) {
        let Some(n) = self.node_mut(index) else { return };
        if n.busy == busy {
            return;
        }
        n.busy = busy;
        let parent = n.parent;
        if busy {
            self.add_busy(parent, 1);
        } else {
            self.remove_busy(parent, 1, wakers);
        }
    }

    fn update_busy(&mut self, index: u32, wakers: &mut Wakers) {
        let Some(n) = self.node(index) else { return };
        let busy = n.cleaning || n.rare.as_ref().is_some_and(|r| r.hold.is_some());
        self.set_busy(index, busy, wakers);
    }

    pub(crate) fn set_cleaning(&mut self, index: u32, cleaning: bool) -> Wakers {
        let mut wakers = Wakers::new();
        if let Some(n) = self.node_mut(index) {
            n.cleaning = cleaning;
        }
        self.update_busy(index, &mut wakers);
        wakers
    }

    pub(crate) fn is_dead(&self, index: u32) -> bool {
        self.node(index).is_none_or(|n| n.dead)
    }

    pub(crate) fn set_dead(&mut self, index: u32) {
        if let Some(n) = self.node_mut(index) {
            n.dead = true;
        }
    }

    // ---- Deliveries ----

    /// The one of two whose origin lies further out, seen from `holder`; one whose origin is gone loses.
    /// Together they count as taken, and as asked for, when the later one was.
    pub(crate) fn outermost(&self, holder: u32, a: Delivery, b: Delivery) -> Delivery {
        let mut best = a;
        let mut at = holder;
        while let Some(n) = self.node(at) {
            let key = NodeKey { index: at, born: n.born };
            for delivery in [b, a] {
                if delivery.origin == key {
                    best = delivery;
                }
            }
            at = n.parent;
        }
        Delivery { step: a.step.max(b.step), asked: a.asked.max(b.asked), ..best }
    }

    /// Adds to what the node holds: accepted, not decided yet.
    pub(crate) fn hold(&mut self, index: u32, delivery: Delivery) {
        let merged = match self.rare(index).and_then(|r| r.hold) {
            Some(held) => self.outermost(index, held, delivery),
            None => delivery,
        };
        if let Some(rare) = self.rare_mut(index) {
            rare.hold = Some(merged);
        }
        // Becoming busy never makes anybody ready.
        self.update_busy(index, &mut Wakers::new());
    }

    pub(crate) fn has_hold(&self, index: u32) -> bool {
        self.rare(index).is_some_and(|r| r.hold.is_some())
    }

    pub(crate) fn take_hold(&mut self, index: u32) -> (Option<Delivery>, Wakers) {
        let mut wakers = Wakers::new();
        let hold = self.node_mut(index).and_then(|n| n.rare.as_mut()).and_then(|r| r.hold.take());
        self.update_busy(index, &mut wakers);
        (hold, wakers)
    }

    /// Passes a delivery outwards to `index`; it waits there until nothing below is busy.
    pub(crate) fn raise(&mut self, index: u32, raised: Raised, wakers: &mut Wakers) {
        let merged = match self.rare(index).and_then(|r| r.raised) {
            Some(there) => Raised {
                delivery: self.outermost(index, there.delivery, raised.delivery),
                persists: there.persists || raised.persists,
            },
            None => raised,
        };
        if let Some(rare) = self.rare_mut(index) {
            rare.raised = Some(merged);
        }
        self.wake_if_ready(index, wakers);
    }

    pub(crate) fn raised(&self, index: u32) -> Option<Raised> {
        self.rare(index)?.raised
    }

    pub(crate) fn take_raised(&mut self, index: u32) -> Option<Raised> {
        self.node_mut(index)?.rare.as_mut()?.raised.take()
    }

    /// Takes what was left undecided at the ancestors of a node that takes something, a re-offer of that or anything
    /// else: nobody pends for it, so it is his now. Were it to wait for the end of his cleanup, it would be void if
    /// the task returned in that step. It does not reach into a cleanup that runs already: that it waits for.
    pub(crate) fn take_undecided_above(&mut self, index: u32) -> Option<Delivery> {
        let mut result = None;
        let mut at = self.parent(index);
        while let Some(n) = self.node_mut(at).filter(|n| !n.busy) {
            let parent = n.parent;
            if let Some(rare) = n.rare.as_mut()
                && let Some(raised) = rare.raised.take_if(|raised| !raised.persists)
            {
                n.reoffers = 0;
                result = Some(match result {
                    Some(other) => self.outermost(index, other, raised.delivery),
                    None => raised.delivery,
                });
            }
            at = parent;
        }
        result
    }

    /// What to do about what was raised at a node: `None`, nothing yet; `Some(Some(offer))`, offer it once
    /// more to what lives below; `Some(None)`, nobody is left to ask, it moves on.
    pub(crate) fn next_offer_again(&mut self, index: u32, step: u64) -> Option<Option<Offer>> {
        if !self.is_ready(index) {
            return None;
        }
        let delivery = self.raised(index)?.delivery;
        let live = self.has_live_below(index);
        let serial = self.next_serial();
        let n = self.node_mut(index)?;
        if !live || n.reoffers >= REOFFERS {
            return Some(None);
        }
        n.reoffers += 1;
        Some(Some(Offer::again(&delivery, serial, step)))
    }

    /// Takes all that waits in the node and below it; what comes from inside is void, the rest is merged
    /// with `d`. Tokens so taken are mute.
    pub(crate) fn absorb(&mut self, top: u32, d: Option<Delivery>, wakers: &mut Wakers) -> Option<Delivery> {
        let mut result = d;
        let mut at = top;
        while at != NIL {
            if let Some(n) = self.node_mut(at) {
                n.cleaning = false;
                n.reoffers = 0;
            }
            if let Some(rare) = self.node_mut(at).and_then(|n| n.rare.as_mut()) {
                let tokens = mem::take(&mut rare.tokens);
                let found = rare.hold.take().into_iter().chain(rare.raised.take().map(|r| r.delivery));
                let found: Vec<_> = found.chain(tokens.into_iter().map(|(_, d)| d)).collect();
                for delivery in found {
                    if self.is_self_or_above(delivery.origin, top) {
                        result = Some(match result {
                            Some(d) => self.outermost(top, d, delivery),
                            None => delivery,
                        });
                    }
                }
            }
            self.update_busy(at, wakers);
            at = self.next_below(at, top);
        }
        result
    }

    // ---- Tokens ----

    /// Registers a living token at its home; returns its number.
    pub(crate) fn add_token(&mut self, home: u32, delivery: Delivery) -> u64 {
        let id = self.next_serial();
        if let Some(rare) = self.rare_mut(home) {
            rare.tokens.push((id, delivery));
        }
        id
    }

    /// Ends a token; `None` if it is mute. A token's home may have passed it outwards meanwhile.
    pub(crate) fn take_token(&mut self, home: NodeKey, id: u64) -> Option<Delivery> {
        // The home of a token never moves to another node than an ancestor, and nodes with tokens are
        // few: look where it was born, then anywhere.
        let place = if self.is_alive(home)
            && self.rare(home.index).is_some_and(|r| r.tokens.iter().any(|t| t.0 == id))
        {
            home.index
        } else {
            self.nodes
                .iter()
                .find(|(_, n)| n.rare.as_ref().is_some_and(|r| r.tokens.iter().any(|t| t.0 == id)))?
                .0 as u32
        };
        let tokens = &mut self.rare_mut(place)?.tokens;
        let position = tokens.iter().position(|t| t.0 == id)?;
        Some(tokens.swap_remove(position).1)
    }

    // ---- Offers ----

    pub(crate) fn is_served(&self, index: u32, offer: u64) -> bool {
        self.rare(index).is_some_and(|r| r.served.contains(&offer))
    }

    /// Marks a node and its ancestors as served by an offer.
    pub(crate) fn mark_served(&mut self, index: u32, offer: u64) {
        let mut at = index;
        while at != NIL {
            if let Some(rare) = self.rare_mut(at)
                && !rare.served.contains(&offer)
            {
                // Ids are never used again; a handful of recent ones is all that can still matter.
                if rare.served.len() >= 256 {
                    rare.served.remove(0);
                }
                rare.served.push(offer);
            }
            at = self.parent(at);
        }
    }

    /// Takes the node's own offer that was kept from an earlier step.
    pub(crate) fn take_own_offer(&mut self, index: u32) -> Option<Offer> {
        self.node_mut(index)?.rare.as_mut()?.own.take()
    }

    /// Keeps the node's own offer for the next step.
    pub(crate) fn keep_own_offer(&mut self, index: u32, offer: Offer) {
        if let Some(rare) = self.rare_mut(index) {
            rare.own = Some(offer);
        }
    }

    /// Everything inside of `top` that was taken in this very step counts as taken for `offer` too: two
    /// deliveries of one step are one, and the outer origin decides what it becomes. The scopes that the
    /// taker has opened since (its cleanup is one) are not asked either, and what was taken in there is its
    /// own business.
    pub(crate) fn coalesce(&mut self, top: NodeKey, offer: &mut Offer) {
        let outside = self.ancestors(top.index);
        // `top` itself is the home of tokens caught right inside of it.
        let mut at = top.index;
        while at != NIL {
            // Served already: opened by a taker further up.
            if !self.is_served(at, offer.id)
                && let Some(since) = self.move_origins(at, top, &outside, offer)
            {
                offer.took = true;
                self.mark_served(at, offer.id);
                let mut below = self.first_below(at);
                while below != NIL {
                    if self.key(below).born > since {
                        self.mark_served(below, offer.id);
                    }
                    below = self.next_below(below, at);
                }
            }
            at = self.next_below(at, top.index);
        }
    }

    /// Gives what node `at` took in the step of `offer` the origin `top`, unless it comes from `outside`. Returns the
    /// serial number since which what was opened below `at` belongs to the taker; `None`: took nothing.
    fn move_origins(&mut self, at: u32, top: NodeKey, outside: &[NodeKey], offer: &Offer) -> Option<u64> {
        let born = self.key(at).born;
        let rare = self.node_mut(at)?.rare.as_mut()?;
        // All that is below a holder is its cleanup. What is raised has nothing below any more.
        let held = rare.hold.iter_mut().map(|d| (born, d));
        let raised = rare.raised.iter_mut().map(|r| (u64::MAX, &mut r.delivery));
        let tokens = rare.tokens.iter_mut().map(|(id, d)| (*id, d));
        let mut since = None;
        for (from, delivery) in held.chain(raised).chain(tokens).filter(|(_, d)| d.step == offer.step) {
            since = Some(since.unwrap_or(u64::MAX).min(from));
            delivery.asked = delivery.asked.max(offer.asked);
            if !outside.contains(&delivery.origin) {
                delivery.origin = top;
            }
        }
        since
    }

    fn ancestors(&self, index: u32) -> Vec<NodeKey> {
        let mut list = Vec::new();
        let mut at = self.parent(index);
        while at != NIL {
            list.push(self.key(at));
            at = self.parent(at);
        }
        list
    }
}
