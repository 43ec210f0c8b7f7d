//! The tree of cancellation nodes.
//!
//! Rust cancels by drop, which cannot wait; asyncio cancels by an error that unwinds and may await. Here
//! both exist, by one mechanism. Whatever wants a say in a cancellation is a *node* while it is polled; nodes form
//! a tree per task, found through a cell that is set while the parent polls. Futures without nodes pay one flag
//! and one null key.
//!
//! ```text
//!   cancel() ---> root               the task: takes what nobody inside takes, and ends cancelled
//!                  |
//!              wait_for              inner nodes have content, which they drop when they take a delivery:
//!               /      \             catch_cancel, on_cancel, finally, wait_for, timeout, a group's body, race
//!          finally      on_cancel
//!           [busy]         |         [busy]: it holds a delivery, or its cleanup runs
//!              |        task.await   leaves have none: an awaited task, gather, a group that waits; they pass the
//!           cleanup                  delivery on to tasks and hold it until those have ended
//! ```
//!
//! # The way of a delivery
//!
//! ```text
//!            offered (while polling)             taken: the content is dropped
//!   origin --------------------------> a node ----------------------------------> decided by its owner
//!      ^                                   |                                      |        |
//!      |                                   | hold: a cleanup runs, tasks end      |        | swallowed: over
//!      |                                   v                                      |        v
//!      |                              held, busy -- has ended ------------------->|   a value
//!      |                                                                          |
//!      |     nothing below is busy,                                       raised at the parent
//!      |     and nobody below takes                                               |
//!      |     the re-offer                                                         v
//!      +-- the next node outwards takes it <--- waits there until no node below is busy
//! ```
//!
//! 1. **Offer.** An origin (the task's root for `cancel()`, a deadline, a group, a race) makes an offer for the length of a
//!    poll. The first live node without a live node below it that is polled meanwhile, and was born before
//!    the offer, takes it. Who must take it is not chosen beforehand: what is not polled is parked, by a `select` for
//!    instance, and must not swallow anything. A taker marks itself and its ancestors as served. If nobody takes it, the
//!    origin does. An offer stays open into the next step while somebody who was woken may still come to it,
//!    twice at most unless it is being taken.
//!    The branches of a race have nodes that offers from outside pass by, so that they are asked like those of a `join!`;
//!    a branch that has lost is made an offer of its own, once nothing cleans up in it.
//! 2. **Hold.** A taker whose cleanup awaits, or that waits for tasks, holds the delivery. It is busy then,
//!    and its ancestors count it.
//! 3. **Raise.** What a node passes on is raised at its parent. It waits there until the count of busy nodes
//!    below is zero. Then it is offered once more to what lives below, opened meanwhile or not asked before; whoever
//!    takes that may become busy, so this repeats, eight times at most. Then the node takes it, and so on outwards. Code
//!    pends for ever behind what it rethrows; that must arrive. But behind what a dropped future or a group that
//!    returns errors has left undecided, nobody pends: whoever takes a re-offer of it, or anything else outside of the
//!    cleanups that it waits for, decides about it, too.
//! 4. **Coalesce.** Deliveries that meet in one node are one. So are those taken in one step: a deadline that comes in
//!    the step of another request takes over what was taken for that. The outermost origin decides what becomes
//!    of it: an outer cancellation is never answered by an inner deadline's error.
//!
//! # Why no request is lost
//! Between its offer and its decision a delivery is in exactly one place: an open offer, a hold, what is raised at a
//! node, or a token in the hands of code. Each of these belongs to a node, and each way in which a node can
//! go hands it on: by `absorb` when the node itself is taken (what was inside joins what took it), by `remove` when its
//! future is dropped or gives a value (what was inside is raised at its parent). Code that drops a token decides; a
//! delivery that drops it does not, so `absorb` takes living tokens along. An offer that nobody took is its
//! origin's. What is raised moves outwards whenever a busy node ends, since whatever lowers a count to zero
//! wakes the node that waits for that, and a node that may move on is looked at after each of its polls. Above all
//! stands the root, which is the task.
//!
//! It ends without a decision in one case only: the future gives a value, be it the task's or that of the scope that
//! made the request. A value that is there stands, and what was still undecided is void.
//!
//! # Why none is delivered twice
//! An offer has a number, and a node that was served that number does not take it again; nor does a node that was
//! born after the offer, so a loop around a `catch_cancel` sees a request once. Ancestors are served by their
//! descendant's taking, so in a further step of the same offer the outer of two catches does not take what the inner
//! one has. Who takes a re-offer is served for the offer that it came from, too. A delivery that was taken is moved,
//! never copied.
//!
//! A task that awaits another passes its delivery on, and both may have been asked at one moment, as all are at the end
//! of a run. A delivery says when it was asked for, as the serial number that came next: between two with the same number
//! nobody was offered anything. If the awaited task has heard of the same moment, it counts this one, and is not offered
//! it (`task/cancel.rs`). A group asks its children anew.
//!
//! # Why none reaches the wrong scope
//! A delivery names its origin by a key with a generation: an origin that is gone matches nothing, whatever
//! came to stand in its slot. `wait_for` turns into its error only what it made itself. A scope that was
//! moved to another task is linked there when it is polled; its old origins are not above it any more, so what they
//! asked for can end the task as cancelled and can be nobody's timeout.
//!
//! # Why it does not hang
//! Only busy nodes hold a delivery back. Each is busy for the length of a cleanup or of the tasks it waits for,
//! and a further request from outside reaches it there: a cleanup is a scope of its own, and what waits for tasks asks
//! them again. A token in the hands of code holds nothing back (it could sit in the result slot of a `join!` for
//! ever). Re-offers are limited, so a branch that swallows again and again cannot stop the others.
//!
//! # Limits
//! * Cleanup written after a bare `catch_cancel` can be cut by another branch that passes its delivery on. `on_cancel` and
//!   `finally` are for that.
//! * A `select!` that drops code with a token in its hands drops the request: it cannot be told from a decision.
//! * A branch that swallows more than eight re-offers is dropped with what it contains.
//! * A panic is no delivery. It leaves through the scopes as through any code; what they hold is raised where it
//!   passes, and goes on where it is caught. `finally` and groups catch it, clean up and resume it.
//!
//! # Costs
//! A node is a slab entry made at the first poll of its scope, and two writes to a thread-local cell a poll. Reading
//! whether something below is busy is one load; a change of it is counted in all ancestors.
//!
//! `tree.rs` is the data and `delivery.rs` what travels. Who makes offers stands above: a task's step
//! (`task/cancel.rs`) and a node's owner (`node.rs`). Nodes live in a slab and futures hold keys, so a future
//! with a scope in it is `Send` when its content is. The rules were found by random trees
//! (`tests/cancel/random_trees.rs`), which still check them.

pub(crate) mod delivery;
pub(crate) mod tree;
