//! Cancellation: hand-made shapes, properties that must always hold, random trees of scopes, and every await of
//! every combinator.

mod everywhere;
mod panics;
mod properties;
mod random_trees;
mod shapes;
mod shapes_chains;
mod shapes_deadlines;
mod shapes_groups;
mod shapes_races;
mod shapes_scopes;
mod shapes_waiting;
mod support;
mod tree_groups;
mod tree_races;
mod tree_shrink;
mod tree_world;
