//! Makes trees smaller, so that one that fails can be read.

use crate::tree_groups::{Group, GroupEnd};
use crate::tree_world::Tree;

/// Repeats the first smaller tree that still `fails`, until none does.
pub(crate) fn shrink(mut tree: Tree, fails: impl Fn(&Tree) -> bool) -> Tree {
    while let Some(next) = smaller(&tree).into_iter().find(&fails) {
        tree = next;
    }
    tree
}

/// All trees that are smaller by one thing: parts of it, a part less, a part smaller.
fn smaller(tree: &Tree) -> Vec<Tree> {
    let one = |a: &Tree, make: &dyn Fn(Box<Tree>) -> Tree| -> Vec<Tree> {
        let parts = smaller(a).into_iter().map(|a| make(a.into()));
        parts.chain([a.clone()]).collect()
    };
    let two = |a: &Tree, b: &Tree, make: &dyn Fn(Box<Tree>, Box<Tree>) -> Tree| -> Vec<Tree> {
        let mut all = one(a, &|a| make(a, b.clone().into()));
        all.extend(one(b, &|b| make(a.clone().into(), b)));
        all
    };
    match tree {
        Tree::Sleep(0) | Tree::Panic => Vec::new(),
        Tree::Sleep(n) => vec![Tree::Sleep(n - 1)],
        Tree::Yield(_) | Tree::Never => vec![Tree::Sleep(0)],
        Tree::Join(all) => many(all, &Tree::Join),
        Tree::Seq(all) => many(all, &Tree::Seq),
        Tree::Unordered(all) => many(all, &Tree::Unordered),
        Tree::Gather(all) => many(all, &Tree::Gather),
        Tree::Race(all) => many(all, &Tree::Race),
        Tree::Scope(all) => many(all, &Tree::Scope),
        Tree::Staggered(all, delay) => many(all, &|all| Tree::Staggered(all, *delay)),
        Tree::Catch(body) => one(body, &Tree::Catch),
        Tree::Await(body) => one(body, &Tree::Await),
        Tree::Shield(body) => one(body, &Tree::Shield),
        Tree::WaitFor(body, n) => one(body, &|body| Tree::WaitFor(body, *n)),
        Tree::Select(body, n) => one(body, &|body| Tree::Select(body, *n)),
        Tree::Finally(body, cleanup) => two(body, cleanup, &Tree::Finally),
        Tree::Handler(body, cleanup, swallows) => {
            two(body, cleanup, &|body, cleanup| Tree::Handler(body, cleanup, *swallows))
        }
        Tree::Block(body, n, moved, m) => two(body, moved, &|body, moved| Tree::Block(body, *n, moved, *m)),
        Tree::Group(group) => {
            let mut all = one(&group.body, &|body| Tree::Group(Group { body, ..group.clone() }));
            all.push(Tree::Group(Group { end: GroupEnd::Value, ..group.clone() }));
            if matches!(group.end, GroupEnd::Value) {
                all.pop();
            }
            all.extend(many(&group.children, &|children| Tree::Group(Group { children, ..group.clone() })));
            all
        }
    }
}

fn many(all: &[Tree], make: &dyn Fn(Vec<Tree>) -> Tree) -> Vec<Tree> {
    let mut found = all.to_vec();
    for place in 0..all.len() {
        if all.len() > 1 {
            let mut fewer = all.to_vec();
            fewer.remove(place);
            found.push(make(fewer));
        }
        for part in smaller(&all[place]) {
            let mut changed = all.to_vec();
            changed[place] = part;
            found.push(make(changed));
        }
    }
    found
}
