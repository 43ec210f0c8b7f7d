//! Random trees of scopes under random requests: nothing may be lost, cut, left or leaked.
//!
//! Each tree runs on a loop of its own on the virtual clock. A few requests come at random moments, then one
//! after the other until every task has ended; one tree in five is dropped at a random moment instead, half
//! of them by code of the root task, half with the loop. `tree_world.rs` says what is checked while a tree
//! runs. Here: after each request, at rest, something must have happened (else it *hangs*), and at the end
//! no scope, future or task is left.
//!
//! `EVLOOP_TREES=n` runs n trees, `EVLOOP_TREE_SEED=s` begins at another seed; a failure prints seed and tree, made as
//! small as it can be and still fail (`tree_shrink.rs`).

use std::collections::BTreeMap;
use std::rc::Rc;

use evloop::time::{secs, sleep_until};
use evloop::{Clock, EventLoop, all_tasks, now, sleep, yield_now};

use crate::support::nodes;
use crate::tree_groups::{Group, GroupEnd};
use crate::tree_shrink::shrink;
use crate::tree_world::{Tree, World};

/// Trees of a default run: two to three seconds without optimization, for all tests.
const TREES: u64 = 8000;
/// Seeds that have failed, run each time. (What they found is also a shape of its own, since a seed means another tree
/// when the generator changes.)
const KEPT: [u64; 7] = [18_358, 96_963, 130_385, 174_043, 181_775, 228_333, 331_286];
/// Later than anything that is not endless.
const REST: u64 = 1000;

/// Marsaglia's xorshift64*, seeded through a splitmix step so that neighbours differ.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self((mixed ^ (mixed >> 30)) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn leaf(&mut self, extras: Extras) -> Tree {
        if extras == Extras::Panics && self.one_in(12) {
            return Tree::Panic;
        }
        match self.below(10) {
            0..5 => Tree::Sleep(self.below(7)),
            5..7 => Tree::Yield(1 + self.below(3) as u8),
            _ => Tree::Never,
        }
    }

    fn trees(&mut self, depth: u32, extras: Extras) -> Vec<Tree> {
        (0..1 + self.below(3)).map(|_| self.tree(depth - 1, extras)).collect()
    }

    fn tree(&mut self, depth: u32, extras: Extras) -> Tree {
        if depth == 0 || self.one_in(6) {
            return self.leaf(extras);
        }
        let below = depth - 1;
        if self.one_in(5) {
            return self.race_or_scope(depth, extras);
        }
        if self.one_in(4) {
            return self.group_or_block(depth, extras);
        }
        match self.below(if matches!(extras, Extras::Selects | Extras::Shields) { 20 } else { 18 }) {
            0..3 => Tree::Join(self.trees(depth, extras)),
            3..5 => Tree::Seq(self.trees(depth, extras)),
            5..7 => Tree::Unordered(self.trees(depth, extras)),
            7 => Tree::Catch(self.tree(below, extras).into()),
            8..10 => {
                let (body, cleanup) = (self.tree(below, extras), self.cleanup(below, extras));
                Tree::Handler(body.into(), cleanup.into(), self.one_in(3))
            }
            10..12 => {
                let (body, cleanup) = (self.tree(below, extras), self.cleanup(below, extras));
                Tree::Finally(body.into(), cleanup.into())
            }
            12..14 => Tree::WaitFor(self.tree(below, extras).into(), self.below(8)),
            14..16 => Tree::Gather(self.trees(depth, extras)),
            16..18 => Tree::Await(self.tree(below, extras).into()),
            _ if extras == Extras::Shields => Tree::Shield(self.tree(below, extras).into()),
            _ => Tree::Select(self.tree(below, extras).into(), self.below(7)),
        }
    }

    fn race_or_scope(&mut self, depth: u32, extras: Extras) -> Tree {
        match self.below(5) {
            0..2 => Tree::Race(self.trees(depth, extras)),
            2 => {
                let delay = if self.one_in(3) { None } else { Some(self.below(5)) };
                Tree::Staggered(self.trees(depth, extras), delay)
            }
            _ => Tree::Scope(self.trees(depth, extras)),
        }
    }

    fn group_or_block(&mut self, depth: u32, extras: Extras) -> Tree {
        let body = self.tree(depth - 1, extras).into();
        match self.below(6) {
            0..2 => Tree::Group(Group { body, children: self.trees(depth, extras), end: GroupEnd::Value }),
            2..4 => {
                let children = self.trees(depth, extras);
                // The last one may be the body's.
                let failing = self.below(children.len() as u64 + 1) as usize;
                Tree::Group(Group { body, children, end: GroupEnd::Failure(failing) })
            }
            4 => Tree::Group(Group {
                body,
                children: self.trees(depth, extras),
                end: GroupEnd::Cancel(self.below(6)),
            }),
            _ => {
                let moved = self.tree(depth - 1, extras).into();
                Tree::Block(body, self.below(6), moved, self.below(8))
            }
        }
    }

    /// Most cleanups just take their time.
    fn cleanup(&mut self, depth: u32, extras: Extras) -> Tree {
        if self.one_in(3) { self.tree(depth, extras) } else { Tree::Sleep(self.below(7)) }
    }
}

/// What else there is in the trees.
#[derive(Clone, Copy, PartialEq)]
enum Extras {
    Nothing,
    /// `select`, which drops scopes by plain code.
    Selects,
    /// Leaves that panic.
    Panics,
    /// Tasks that hear of no delivery.
    Shields,
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// Requests until all have ended.
    Requests,
    /// The root's content is dropped by code of its task at this time, then requests.
    DropRoot(u64),
    /// The loop is dropped at this time.
    DropLoop(u64),
}

/// A tree and what is done to it.
struct Case {
    tree: Tree,
    requests: Vec<u64>,
    end: End,
    /// Some requests go to all tasks at one moment.
    asks_all: bool,
    /// For what is decided while it runs.
    random: Random,
}

impl Case {
    fn of(seed: u64, extras: Extras) -> Self {
        let mut random = Random::new(seed);
        let tree = random.tree(4, extras);
        let requests: Vec<u64> = (0..random.below(3)).map(|_| random.below(12)).collect();
        let end = match random.below(10) {
            0 => End::DropRoot(random.below(12)),
            1 => End::DropLoop(random.below(12)),
            _ => End::Requests,
        };
        // By the number, so that the trees of the seeds above are what they were.
        Self { tree, requests, end, asks_all: seed % 5 == 2, random }
    }

    /// Runs it, or another tree in its place; returns the violations.
    fn run(&self, tree: &Tree) -> Vec<(&'static str, String)> {
        let world = Rc::new(World::default());
        let mut event_loop = EventLoop::builder().clock(Clock::Virtual).build().unwrap();
        event_loop.handle().set_exception_handler(|_| {});
        let driven = drive(&world, tree.clone(), self);
        event_loop.run_until_complete(driven).unwrap();
        if matches!(self.end, End::DropLoop(_)) {
            world.dropping.set(true);
        } else {
            if event_loop.handle().scope_nodes() > 0 {
                world.violation("leak", format!("{} scopes", event_loop.handle().scope_nodes()));
            }
            if event_loop.next_deadline().is_some() {
                world.violation("leak", "a timer".into());
            }
        }
        drop(event_loop);
        world.check_end();
        let violations = world.violations.take();
        // Each task is known to the world and knows it.
        world.tasks.take();
        violations
    }

    /// The tree, as small as can be for a violation of this kind.
    fn shrunk(&self, kind: &str) -> Tree {
        shrink(self.tree.clone(), |tree| self.run(tree).iter().any(|(found, _)| *found == kind))
    }
}

async fn drive(world: &Rc<World>, tree: Tree, case: &Case) {
    let (mut requests, end, mut random) = (case.requests.clone(), case.end, case.random.clone());
    let start = now();
    world.spawn_root(tree);
    requests.sort_unstable();
    let end_at = match end {
        End::Requests => None,
        End::DropRoot(at) | End::DropLoop(at) => Some(at),
    };
    let mut moments: Vec<(u64, bool)> = requests.into_iter().map(|at| (at, false)).collect();
    moments.extend(end_at.map(|at| (at, true)));
    moments.sort_unstable();
    for (at, is_end) in moments {
        if now() < start + secs(at) {
            sleep_until(start + secs(at)).await;
        }
        // Before or after others of this instant.
        for _ in 0..random.below(4) {
            yield_now().await;
        }
        match end {
            End::DropLoop(_) if is_end => return,
            End::DropRoot(_) if is_end => world.drop_root(),
            _ => request(world, &mut random, case.asks_all),
        }
    }
    sleep(secs(REST)).await;
    for _ in 0..200 {
        if all_tasks().len() == 1 {
            break;
        }
        let before = world.events();
        request(world, &mut random, case.asks_all);
        sleep(secs(REST)).await;
        if world.events() == before {
            world.violation("hang", format!("{:?}", all_tasks()));
            break;
        }
    }
    if all_tasks().len() == 1 && nodes() > 0 {
        world.violation("leak", format!("{} scopes at the end", nodes()));
    }
}

/// Asks the root or, half the time, any task that has not ended; or, now and then, all of them in any order.
fn request(world: &World, random: &mut Random, asks_all: bool) {
    let mut live: Vec<_> = world.tasks.borrow().iter().filter(|info| !info.done()).cloned().collect();
    if asks_all && random.one_in(2) {
        while !live.is_empty() {
            let next = live.swap_remove(random.below(live.len() as u64) as usize);
            world.cancel(&next);
        }
        return;
    }
    let chosen = if random.one_in(2) { 0 } else { random.below(live.len().max(1) as u64) as usize };
    if let Some(info) = live.get(chosen) {
        world.cancel(info);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn run_many(extras: Extras, default: u64) {
    let first = number("EVLOOP_TREE_SEED").unwrap_or(0);
    let count = number("EVLOOP_TREES").unwrap_or(default);
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut examples = Vec::new();
    for seed in KEPT.into_iter().chain(first..first + count) {
        let case = Case::of(seed, extras);
        for (kind, detail) in case.run(&case.tree) {
            let count = kinds.entry(kind).or_default();
            *count += 1;
            if *count == 1 {
                let (requests, end, tree) = (&case.requests, case.end, case.shrunk(kind));
                let text = format!(
                    "{kind}: {detail}\n  seed {seed}: requests {requests:?}, {end:?}, shrunk to {tree:?}"
                );
                examples.push(text);
            }
        }
    }
    assert!(
        kinds.is_empty(),
        "{count} trees, violations by kind: {kinds:?}, one of each:\n{}",
        examples.join("\n")
    );
}

#[test]
fn nothing_is_lost_cut_left_or_leaked_in_random_trees() {
    run_many(Extras::Nothing, TREES);
}

#[test]
fn nothing_is_lost_where_plain_code_drops_scopes_in_random_trees() {
    run_many(Extras::Selects, TREES);
}

#[test]
fn nothing_hangs_or_leaks_where_leaves_panic_in_random_trees() {
    run_many(Extras::Panics, TREES / 2);
}

#[test]
fn nothing_is_lost_and_no_shielded_task_touched_in_random_trees() {
    run_many(Extras::Shields, TREES / 2);
}
