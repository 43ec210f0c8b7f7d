//! The tree of cancellation nodes.
//!
//! Rust cancels by drop, which cannot wait; asyncio cancels by an error that unwinds and may await. Here
//! both exist, by one mechanism. Whatever wants a say in a cancellation (an awaited task, `wait_for`,
//! `gather`, `catch_cancel`, `on_cancel`, `finally`) is a *node* while it is polled; nodes form a tree per
//! task, found through a cell that is set while the parent polls. Futures without nodes pay one flag and
//! one null key.
//!
//! * A delivery is an **offer made while polling**: the first live node without a live node below that is
//!   polled, and was born before the offer, takes it and drops what it contains. A parked node is not
//!   polled and swallows nothing. Takers mark their ancestors served. If nobody takes, the root drops the
//!   future.
//! * What a node passes on is **raised** at its parent. It waits there until no node below holds a
//!   delivery or cleans up, is offered once more to what was opened meanwhile, and moves on outwards.
//! * Deliveries taken in one step **coalesce**: the outermost origin decides what they become.
//!
//! `tree.rs` is the data and `delivery.rs` what travels. Who makes offers stands above: a task's step
//! (`task/cancel.rs`) and a node's owner (`node.rs`). Nodes live in a slab and futures hold keys, so a future
//! with a scope in it is `Send` when its content is.

pub(crate) mod delivery;
pub(crate) mod tree;
