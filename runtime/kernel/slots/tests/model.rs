//! The slots against a plain model, under random operations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Told::{Called, Woken};
use super::*;

/// One who waits, in the model.
struct Waiter {
    id: u64,
    kind: Kind,
    name: Told,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Future,
    Task,
    Callback,
}

/// A registration, in the model.
struct Registration {
    key: SlotKey,
    owner: Owner,
    mode: PollMode,
    raw: Option<RawSource>,
    ready: Interest,
    armed: Interest,
    split: bool,
    lines: [VecDeque<Waiter>; 2],
}

/// A future: its key in the slots, and its number in the model.
struct Future {
    key: SlotKey,
    direction: Direction,
    place: Option<WaiterKey>,
    id: u64,
}

/// What a run does besides the usual.
#[derive(Clone, Copy, Default)]
struct Mix {
    modes: &'static [PollMode],
    /// The kernel refuses changes.
    refusals: bool,
    /// Futures and tasks have the same wakers.
    shared_wakers: bool,
}

struct World {
    stage: Stage,
    mix: Mix,
    random: u64,
    model: BTreeMap<usize, Registration>,
    /// Keys of registrations that have ended.
    stale: Vec<SlotKey>,
    futures: Vec<Future>,
    ids: u64,
    calls: u32,
    /// Wakers that the slots may have kept after they were told.
    kept: BTreeSet<Told>,
}

impl Registration {
    fn wanted(&self) -> Interest {
        Interest::new(!self.lines[0].is_empty(), !self.lines[1].is_empty())
    }

    fn asks(&self) -> Option<Rearm> {
        self.raw.map(|raw| Rearm { raw, key: self.key, interest: self.armed, mode: self.mode })
    }

    /// Who is given back when it ends.
    fn all(&self) -> Vec<Told> {
        self.lines.iter().flatten().map(|waiter| waiter.name).collect()
    }
}

impl World {
    fn new(mix: Mix, seed: u64) -> Self {
        Self {
            stage: Stage::new(),
            mix,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            model: BTreeMap::new(),
            stale: Vec::new(),
            futures: Vec::new(),
            ids: 0,
            calls: 0,
            kept: BTreeSet::new(),
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % n.max(1)
    }

    fn direction(&mut self) -> Direction {
        [Direction::Read, Direction::Write][self.below(2)]
    }

    fn interest(&mut self) -> Interest {
        [Interest::NONE, READ, WRITE, Interest::BOTH][self.below(4)]
    }

    /// A registration, most often one that lives.
    fn key(&mut self) -> Option<SlotKey> {
        if self.below(8) == 0 || self.model.is_empty() {
            let at = self.below(self.stale.len());
            return self.stale.get(at).copied();
        }
        let at = self.below(self.model.len());
        self.model.values().nth(at).map(|registration| registration.key)
    }

    fn registration(&mut self, key: SlotKey) -> Option<&mut Registration> {
        self.model.get_mut(&key.as_usize())
    }

    fn step(&mut self) {
        match self.below(20) {
            0 | 1 => self.register(),
            2 => self.free(),
            3..=5 => self.wait_as_future(),
            6..=8 => self.wait_as_task(),
            9 | 10 => self.leave(),
            11..=14 => self.event(),
            15 | 16 => self.find_nothing(),
            17 | 18 => self.set_repeating(),
            _ => self.refuse(),
        }
        self.check();
    }

    fn register(&mut self) {
        let mode = self.mix.modes[self.below(self.mix.modes.len())];
        let owner = [Owner::Source, Owner::Callbacks][self.below(2)];
        // Callbacks have a direction to watch when they are registered.
        let exhausted = if owner == Owner::Source { READ } else { Interest::NONE };
        let armed = if mode == PollMode::Edge { Interest::BOTH } else { READ };
        // Few numbers, so that they are used again while others think they have them.
        let raw = 10 + self.below(12) as RawSource;
        let key = self.stage.slots.reserve(owner, mode, armed, exhausted);
        let given_back = self.stage.slots.registered(key, raw);
        let former = self.model.values_mut().find(|other| other.raw == Some(raw));
        let mut expected = Vec::new();
        if let Some(former) = former {
            former.raw = None;
            if former.owner == Owner::Callbacks {
                expected = former.all();
                let former = former.key;
                self.model.remove(&former.as_usize());
                self.stale.push(former);
            }
        }
        assert_eq!(self.stage.names(given_back), expected);
        let registration = Registration {
            key,
            owner,
            mode,
            raw: Some(raw),
            ready: Interest::BOTH.without(exhausted),
            armed,
            split: false,
            lines: [VecDeque::new(), VecDeque::new()],
        };
        assert!(self.model.insert(key.as_usize(), registration).is_none(), "a key of its own");
        assert!(!self.stale.contains(&key), "and a new one");
    }

    fn free(&mut self) {
        let Some(key) = self.key() else { return };
        let given_back = self.stage.slots.free(key);
        let given_back = self.stage.names(given_back);
        match self.model.remove(&key.as_usize()) {
            None => assert_eq!(given_back, []),
            Some(registration) => {
                self.check_all_are_in(&registration.all(), &given_back);
                self.stale.push(key);
            }
        }
    }

    /// Who waited is given back in order. Between them may be who was told, and whose waker was kept.
    fn check_all_are_in(&self, waited: &[Told], given_back: &[Told]) {
        let mut waiting = waited.iter().peekable();
        for name in given_back {
            if waiting.next_if_eq(&name).is_none() {
                assert!(self.kept.contains(name), "{name:?} did not wait: {waited:?}, {given_back:?}");
            }
        }
        assert!(waiting.peek().is_none(), "{waited:?} waited, {given_back:?} were given back");
        assert!(given_back.len() <= waited.len() + 2, "at most one was kept on each side");
    }

    fn wait_as_future(&mut self) {
        let at = self.below(self.futures.len() + 2);
        if at >= self.futures.len() {
            let Some(key) = self.key() else { return };
            let direction = self.direction();
            self.futures.push(Future { key, direction, place: None, id: 0 });
        }
        let at = at.min(self.futures.len() - 1);
        let waker = self.below(4);
        let future = &mut self.futures[at];
        if self.stage.slots.find_owner(&self.model, future.key) == Some(Owner::Callbacks) {
            return;
        }
        let (key, direction) = (future.key, future.direction);
        let waited = self.stage.wait(key, direction, Who::Future(&mut future.place), waker);
        let id = future.id;
        let joined = self.expect_waited(key, direction, Kind::Future, id, Woken(waker), waited);
        self.futures[at].id = joined;
    }

    fn wait_as_task(&mut self) {
        let Some(key) = self.key() else { return };
        if self.stage.slots.find_owner(&self.model, key) == Some(Owner::Callbacks) {
            return;
        }
        let direction = self.direction();
        let waker = self.below(4) + if self.mix.shared_wakers { 0 } else { 4 };
        let waited = self.stage.wait(key, direction, Who::Task, waker);
        self.expect_waited(key, direction, Kind::Task, 0, Woken(waker), waited);
    }

    /// Waits in the model, too, and compares; returns who waits.
    fn expect_waited(
        &mut self,
        key: SlotKey,
        direction: Direction,
        kind: Kind,
        id: u64,
        name: Told,
        waited: Option<(Option<Told>, Option<Rearm>)>,
    ) -> u64 {
        self.ids += 1;
        let fresh = self.ids;
        let Some(registration) = self.registration(key) else {
            assert_eq!(waited, None, "the slot is gone");
            return 0;
        };
        let (former, rearm) = waited.expect("the slot is there");
        let line = &mut registration.lines[direction as usize];
        let standing = line.iter_mut().find(|waiter| {
            waiter.kind == kind && if kind == Kind::Task { waiter.name == name } else { waiter.id == id }
        });
        let id = if let Some(standing) = standing {
            assert_eq!(former, Some(standing.name), "its former waker");
            standing.name = name;
            standing.id
        } else {
            // A future that was told in vain keeps its place.
            let id = if kind == Kind::Future && id != 0 { id } else { fresh };
            let at = line.partition_point(|waiter| waiter.id < id);
            line.insert(at, Waiter { id, kind, name });
            id
        };
        let mut expected = None;
        if !registration.armed.contains(direction) {
            registration.armed = registration.armed.with(Interest::of(direction));
            expected = registration.asks();
        }
        assert_eq!(rearm, expected);
        id
    }

    fn leave(&mut self) {
        if self.futures.is_empty() {
            return;
        }
        let at = self.below(self.futures.len());
        let Future { key, direction, place, id } = self.futures.swap_remove(at);
        let left = self.stage.leave(key, direction, place);
        let expected = self.registration(key).and_then(|registration| {
            let line = &mut registration.lines[direction as usize];
            let at = line.iter().position(|waiter| waiter.kind == Kind::Future && waiter.id == id)?;
            line.remove(at)
        });
        assert_eq!(left, expected.map(|waiter| waiter.name));
    }

    fn event(&mut self) {
        let Some(key) = self.key() else { return };
        let event = Event { key: key.as_usize(), ready: self.interest(), split: self.below(4) == 0 };
        let keep = self.below(2) == 0;
        let (told, rearm) = self.stage.event_keeping(event, keep);
        if keep {
            self.kept.extend(&told);
        }
        let Some(registration) = self.registration(key) else {
            return assert_eq!((told, rearm), (vec![], None), "a stale key meets nobody");
        };
        registration.ready = registration.ready.with(event.ready);
        registration.split |= event.split;
        let unwanted = event.ready.without(registration.wanted());
        let mut expected = Vec::new();
        for direction in [Direction::Read, Direction::Write] {
            if event.ready.contains(direction) {
                let line = &mut registration.lines[direction as usize];
                expected.extend(line.iter().map(|waiter| waiter.name));
                line.retain(|waiter| waiter.kind == Kind::Callback);
            }
        }
        assert_eq!(told, expected);
        let before = registration.armed;
        let asks = match registration.mode {
            PollMode::Edge => false,
            PollMode::Level => {
                registration.armed = before.without(unwanted);
                registration.armed != before
            }
            PollMode::Oneshot => {
                registration.armed = registration.wanted();
                !registration.armed.is_empty()
            }
        };
        assert_eq!(rearm, if asks { registration.asks() } else { None }, "{:?}", registration.mode);
    }

    fn find_nothing(&mut self) {
        let Some(key) = self.key() else { return };
        let (direction, came_up_short) = (self.direction(), self.below(2) == 0);
        let Some(registration) = self.model.get_mut(&key.as_usize()) else { return };
        let slot = self.stage.slots.get(key).unwrap();
        if came_up_short {
            slot.drained(direction);
        } else {
            slot.exhausted(direction);
        }
        if !(came_up_short && registration.split && registration.mode == PollMode::Edge) {
            registration.ready = registration.ready.without(Interest::of(direction));
        }
    }

    fn set_repeating(&mut self) {
        let Some(key) = self.key() else { return };
        if self.stage.slots.find_owner(&self.model, key) == Some(Owner::Source) {
            return;
        }
        let (direction, remove) = (self.direction(), self.below(3) == 0);
        self.calls += 1;
        self.ids += 1;
        let (id, name) = (self.ids, Called(self.calls));
        let call = (!remove).then(|| self.stage.call(self.calls) as Rc<dyn Repeated>);
        let former = self.stage.slots.set_repeating(key, direction, call);
        let former = self.stage.names(former);
        let Some(registration) = self.registration(key) else { return assert_eq!(former, []) };
        let line = &mut registration.lines[direction as usize];
        assert_eq!(former, line.drain(..).map(|waiter| waiter.name).collect::<Vec<_>>());
        if !remove {
            line.push_back(Waiter { id, kind: Kind::Callback, name });
        }
        registration.armed = registration.wanted();
    }

    fn refuse(&mut self) {
        if !self.mix.refusals {
            return;
        }
        let Some(key) = self.key() else { return };
        let Some(registration) = self.model.get_mut(&key.as_usize()) else { return };
        self.stage.slots.get(key).unwrap().disarmed();
        registration.armed = Interest::NONE;
    }

    /// Everything that can be seen without a change.
    fn check(&self) {
        let slots = &self.stage.slots;
        let waiting: usize = self.model.values().flat_map(|one| &one.lines).map(VecDeque::len).sum();
        assert_eq!((slots.len(), slots.waiting()), (self.model.len(), waiting));
        for one in self.model.values() {
            let slot = slots.get(one.key).expect("it lives");
            let ready = Interest::new(slot.is_ready(Direction::Read), slot.is_ready(Direction::Write));
            assert_eq!((ready, slot.wanted()), (one.ready, one.wanted()));
            if let Some(raw) = one.raw {
                assert_eq!(slots.find(raw), Some((one.key, one.owner)));
            }
        }
        for raw in 10..22 {
            let known = self.model.values().any(|one| one.raw == Some(raw));
            assert_eq!(slots.find(raw).is_some(), known);
        }
        assert!(self.stale.iter().all(|key| slots.get(*key).is_none()));
    }

    fn end(mut self) {
        let (watchers, mut numbers) = self.stage.slots.close();
        let mut given_back = self.stage.names(watchers);
        let mut waited: Vec<Told> = self.model.values().flat_map(Registration::all).collect();
        waited.sort();
        given_back.sort();
        let mut given_back = given_back.iter().peekable();
        for name in &waited {
            while given_back.next_if(|other| *other < name).is_some() {}
            assert_eq!(given_back.next(), Some(name), "who waited is given back");
        }
        let mut expected: Vec<_> = self
            .model
            .values()
            .filter(|one| one.owner == Owner::Callbacks)
            .filter_map(|one| one.raw)
            .collect();
        expected.sort_unstable();
        numbers.sort_unstable();
        assert_eq!(numbers, expected);
        self.stale.extend(self.model.values().map(|one| one.key));
        self.model.clear();
        self.check();
    }
}

impl Slots {
    /// Whose registration it is, by the model.
    fn find_owner(&self, model: &BTreeMap<usize, Registration>, key: SlotKey) -> Option<Owner> {
        model.get(&key.as_usize()).map(|one| one.owner)
    }
}

fn run(mix: Mix) {
    // Miri is some hundred times slower.
    let (seeds, steps) = if cfg!(miri) { (2, 150) } else { (40, 600) };
    for seed in 1..=seeds {
        let mut world = World::new(mix, seed);
        for _ in 0..steps {
            world.step();
        }
        world.end();
    }
}

#[test]
fn random_operations_match_a_plain_model() {
    run(Mix { modes: &[PollMode::Edge, PollMode::Oneshot], ..Mix::default() });
}

#[test]
fn random_operations_in_level_mode_match_a_plain_model() {
    run(Mix { modes: &MODES, ..Mix::default() });
}

#[test]
fn random_operations_with_a_kernel_that_refuses_match_a_plain_model() {
    run(Mix { modes: &MODES, refusals: true, ..Mix::default() });
}

#[test]
fn random_operations_of_tasks_that_have_futures_match_a_plain_model() {
    run(Mix { modes: &MODES, shared_wakers: true, ..Mix::default() });
}
