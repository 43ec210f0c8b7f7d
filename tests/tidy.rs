//! The rules of this project that a machine can check, over its own sources. Each rule is one test, and its
//! message says where it is broken and what to do.
//!
//! The lists at the head of each rule are decisions. To add an entry is to change the architecture: say why
//! in the entry. An entry that is no longer needed fails, too.

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use imports::{front_door, imports, layers, module_of, reaches};
use source::{Source, find_word, has_word, sources};

const ALL: &[&str] = &["runtime", "tests", "benches", "examples"];

/// Fails if there is a violation.
fn check(rule: &str, remedy: &str, violations: Vec<String>) {
    assert!(violations.is_empty(), "{rule}\n\n  {}\n\n{remedy}\n", violations.join("\n  "));
}

/// Complains about each line for which `offends` and whose file is not on the list, and about each entry
/// of the list that nothing needs.
fn check_listed(
    rule: &str,
    remedy: &str,
    list: &[(&str, &str)],
    sources: &[Source],
    offends: impl Fn(&Source) -> Vec<usize>,
) {
    let mut violations = Vec::new();
    let mut needed = BTreeSet::new();
    for source in sources {
        let lines = offends(source);
        if let Some((entry, _)) = list.iter().find(|(entry, _)| covers(entry, &source.path)) {
            if !lines.is_empty() {
                needed.insert(*entry);
            }
        } else {
            violations.extend(lines.iter().map(|line| format!("{}:{line}", source.path)));
        }
    }
    let stale = list.iter().filter(|(entry, _)| !needed.contains(entry));
    violations.extend(stale.map(|(entry, _)| format!("{entry}: on the list, and no longer needed there")));
    check(rule, remedy, violations);
}

/// A test of lines, for phrases.
fn contains_one_of(phrases: &[&str]) -> impl Fn(&str) -> bool {
    move |line| phrases.iter().any(|phrase| line.contains(phrase))
}

/// Whether an entry, a file or a folder with its slash, covers a path.
fn covers(entry: &str, path: &str) -> bool {
    entry == path || entry.ends_with('/') && path.starts_with(entry)
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let opens =
        |source: &Source| source.text.strip_prefix("//! ").is_some_and(|rest| !rest.starts_with('\n'));
    let without = sources(ALL).into_iter().filter(|source| !opens(source)).map(|source| source.path);
    check(
        "Every .rs file opens with `//!`: what it is, how it works, what it is not.",
        "Write that line, first in the file.",
        without.collect(),
    );
}

/// No file is longer than this without being on the list.
const LONG: usize = 600;
/// No file is longer than this.
const TOO_LONG: usize = 800;

const LONG_FILES: &[(&str, &str)] =
    &[("runtime/kernel/scope/tree.rs", "one data structure: its parts are only understood together")];

#[test]
fn no_file_is_too_long_to_read_in_one_go() {
    let sources = sources(ALL);
    check_listed(
        "A file has at most 600 lines; up to 800 if it is on the list.",
        "Look for the seam: a data structure, a phase, the unit tests.",
        LONG_FILES,
        &sources,
        |source| if source.text.lines().count() > LONG { vec![LONG + 1] } else { Vec::new() },
    );
    let too_long = sources.iter().filter(|source| source.text.lines().count() > TOO_LONG);
    check(
        "No file has more than 800 lines.",
        "Split it.",
        too_long.map(|source| source.path.clone()).collect(),
    );
}

#[test]
fn no_file_is_a_drawer() {
    let is_drawer = |path: &String| {
        let mut parts = path.trim_end_matches(".rs").split('/');
        parts.any(|part| matches!(part, "util" | "utils" | "helper" | "helpers" | "common" | "misc"))
    };
    check(
        "No file is named `util` or the like.",
        "A helper lives beside its user, or is a data structure with a name.",
        sources(ALL).into_iter().map(|source| source.path).filter(is_drawer).collect(),
    );
}

const UNSAFE_FILES: &[(&str, &str)] = &[
    ("runtime/kernel/context.rs", "follows the thread-local pointer to the loop"),
    ("runtime/kernel/fifo.rs", "items in a ring: the flag of a `RefCell` is an eighth of a queue's time"),
    ("runtime/kernel/home_cell.rs", "one block with a face per thread, reached by pointers"),
    ("runtime/kernel/reactor/", "registrations, and the direct wait"),
    ("runtime/kernel/scheduler/", "the intrusive FIFO and the memory of its entries"),
    ("runtime/kernel/task/", "tasks: raw memory, wakers, vtables"),
    ("runtime/kernel/twin.rs", "a value with two owners, in recycled memory"),
    ("runtime/signal/unix.rs", "the signal handler: sigaction, write, and the former handler's call"),
];

#[test]
fn unsafe_code_stays_where_it_is_listed() {
    check_listed(
        "`unsafe` stands in the listed parts of the kernel only (tests may count memory with it).",
        "Find a safe shape. If there is none, the new place is a change of the architecture.",
        UNSAFE_FILES,
        &sources(&["runtime"]),
        |source| source.lines(|line| has_word(line, "unsafe")),
    );
}

#[test]
fn the_kernels_door_alone_permits_unsafe_code() {
    check_listed(
        "`unsafe_code` is permitted on `mod` lines of the listed files, with the reason, and nowhere else.",
        "Remove the attribute.",
        &[
            ("runtime/kernel/mod.rs", "the list of the modules with `unsafe`"),
            ("runtime/signal/mod.rs", "the signal handler, which is no part of the kernel"),
        ],
        &sources(&["runtime"]),
        |source| {
            source.lines(contains_one_of(&["allow(unsafe_code", "expect(unsafe_code", "warn(unsafe_code"]))
        },
    );
}

/// Comments explain the few lines below them, not a page.
const REACH_OF_A_COMMENT: usize = 8;

#[test]
fn every_unsafe_block_and_impl_has_its_argument() {
    let mut violations = Vec::new();
    for source in sources(&["runtime", "tests"]) {
        let lines: Vec<_> = source.text.lines().collect();
        for number in source.lines(|line| has_word(line, "unsafe")) {
            let code = source.code.lines().nth(number - 1).unwrap();
            let at = find_word(code, "unsafe").unwrap();
            let after = code[at + "unsafe".len()..].trim_start();
            let needs_one = after.is_empty() || after.starts_with('{') || after.starts_with("impl");
            let above = lines[number.saturating_sub(REACH_OF_A_COMMENT + 1)..number - 1].iter().rev();
            let mut above = above.take_while(|line| !line.is_empty());
            if needs_one && !above.any(|line| line.contains("// SAFETY")) {
                violations.push(format!("{}:{number}", source.path));
            }
        }
    }
    check(
        "Each `unsafe` block and impl has a comment `// SAFETY: …` right above.",
        "Name the invariant, where it is established, and what would break it.",
        violations,
    );
}

const ATOMICS_AND_LOCKS: &[(&str, &str)] = &[
    ("runtime/kernel/atomic.rs", "the facade: std's or the model checker's"),
    ("runtime/kernel/task/state.rs", "counts of wakers abroad"),
    ("runtime/kernel/task/error.rs", "the payload of a panic, which may be taken on any thread"),
    ("runtime/kernel/scheduler/inbox.rs", "mail from other threads"),
    ("runtime/kernel/home_cell.rs", "references to a loop's block on other threads"),
    ("runtime/kernel/context.rs", "a loop's shared face; numbers unique in the process"),
    ("runtime/kernel/event_loop.rs", "looks at the shared face"),
    ("runtime/kernel/debug/watchdog.rs", "what another thread sees of the step that runs"),
    ("runtime/context/var.rs", "numbers unique in the process, of variables that all threads share"),
    ("runtime/at_home.rs", "numbers unique in the process"),
    ("runtime/kernel/job.rs", "a blocking job, which ends on any thread"),
    ("runtime/kernel/proxy.rs", "what other threads hold of a loop"),
    ("runtime/kernel/remote_task.rs", "a task's result on its way to another thread"),
    ("runtime/kernel/reactor/arena.rs", "numbers unique in the process; a pointer that may travel"),
    ("runtime/kernel/reactor/watched.rs", "a place that is set once, also by `&self` of two threads"),
    ("runtime/signal/gate.rs", "signal handlers that write to a loop's pipe, and the loop's end"),
    ("runtime/signal/post_box.rs", "what signal handlers see of a loop"),
    ("runtime/signal/registry.rs", "signals are the process's, for all loops on all threads"),
    ("runtime/signal/unix.rs", "what the signal handler has to know"),
    ("runtime/channel/thread/link.rs", "what the ends of a channel between threads share"),
    ("runtime/channel/thread/receipts.rs", "what was received, for those who send"),
    ("runtime/channel/thread/blocking.rs", "a thread that waits for a channel"),
    ("runtime/threads.rs", "the pool of threads and its jobs"),
    ("runtime/time/timeout.rs", "a deadline inside of a future that has to be `Send` and `Sync`"),
    ("runtime/tasks/scope/ready.rs", "wakers of a scope's children, which may be called on any thread"),
    ("runtime/tasks/on_cancel.rs", "a flag inside a future that has to be `Send` and `Sync`"),
];

#[test]
fn atomics_and_locks_stay_where_it_is_listed() {
    let words = ["atomic", "Mutex", "Condvar", "OnceLock", "LazyLock"];
    // Those of tasks, which have the same names, are none of threads.
    let of_threads = ["Barrier", "RwLock"];
    let is_of_threads =
        |line: &str| line.contains("std::sync::") && of_threads.iter().any(|word| has_word(line, word));
    check_listed(
        "Atomics and locks stand in the listed files only; all else is `Cell` and `RefCell` on one thread.",
        "Keep the state at home and send a letter (`kernel/proxy.rs`), or list the file with its reason.",
        ATOMICS_AND_LOCKS,
        &sources(&["runtime"]),
        |source| {
            // The kernel's door declares the facade.
            source.lines_without_tests(|line| {
                !line.ends_with("mod atomic;")
                    && (is_of_threads(line) || words.iter().any(|word| has_word(line, word)))
            })
        },
    );
}

const REAL_CLOCK: &[(&str, &str)] = &[
    ("runtime/kernel/clock.rs", "the loop's time"),
    ("tests/api/test_threads.rs", "compares virtual time with the real time of a blocking job"),
    ("tests/foreign/", "other threads live in real time: patience with them, and its end"),
    ("tests/leaks/balance.rs", "waits with patience for threads that nobody joins"),
];

#[test]
fn the_clock_is_read_in_one_place() {
    check_listed(
        "`Instant::now` stands in runtime/kernel/clock.rs (and in benches and examples) only.",
        "Take `evloop::now()`, or `real_now` inside the kernel; in tests use the virtual clock.",
        REAL_CLOCK,
        &sources(&["runtime", "tests"]),
        |source| source.lines(contains_one_of(&["Instant::now", "SystemTime::now"])),
    );
}

const REAL_SLEEPS: &[(&str, &str)] = &[
    ("tests/api/support.rs", "lets another thread fall asleep; no assertion depends on it"),
    ("tests/api/test_threads.rs", "blocking jobs are what is tested"),
    ("tests/api/test_tasks/threadsafe.rs", "a blocking job that waits for a task, and gives up"),
    ("tests/leaks/balance.rs", "patience with threads that nobody joins"),
    ("tests/leaks/main.rs", "a blocking job that nobody waits for"),
];

#[test]
fn nobody_really_sleeps() {
    check_listed(
        "`thread::sleep` stands nowhere in runtime/ and tests/ but where a blocking job is what is tested.",
        "Await a sleep on the virtual clock; wait for another thread by a channel.",
        REAL_SLEEPS,
        &sources(&["runtime", "tests"]),
        |source| source.lines(contains_one_of(&["thread::sleep", "thread::{sleep", "thread::park_timeout"])),
    );
}

#[test]
fn nothing_is_left_for_later() {
    check_listed(
        "No `todo!`, `unimplemented!` or `dbg!`.",
        "Write it, or leave it out and say so in the docs.",
        &[],
        &sources(ALL),
        |source| source.lines(contains_one_of(&["todo!", "unimplemented!", "dbg!"])),
    );
}

#[test]
fn no_test_is_ignored() {
    check_listed(
        "No `#[ignore]`.",
        "Make the test deterministic or delete it; a slow one becomes smaller.",
        &[],
        &sources(ALL),
        |source| source.lines(contains_one_of(&["#[ignore", "ignore = "])),
    );
}

/// Which parts of the library, besides itself, each part outside of the kernel may import. `wait list` is
/// the part of the kernel's door that knows no loop, and what a cancelled thing ends with.
const PARTS: &[(&str, &[&str])] = &[
    ("sync", &["wait list"]),
    ("queue", &["wait list"]),
    ("channel", &["wait list"]),
    ("time", &["kernel"]),
    ("tasks", &["kernel", "time"]),
    ("threads", &["kernel"]),
    ("channel::thread", &["kernel", "time"]),
    ("async_fd", &["kernel"]),
    ("at_home", &["kernel"]),
    ("context", &["kernel"]),
    ("net", &["kernel", "time", "threads"]),
    ("debug", &["kernel"]),
    ("spawn", &["kernel", "tasks"]),
    ("signal", &["kernel"]),
    ("runner", &["kernel", "threads", "signal"]),
    ("testing", &["kernel", "sync", "queue", "time", "tasks", "threads", "runner"]),
    ("deviations", &[]),
];

/// `LoopHandle` is how a promise has its callbacks called in the loop they were added in; `current_task_id` how a lock
/// knows who holds it; `probe` how what waits says for what; `captured_context`
/// what a callback of a promise sees; `Twin` what the two ends of a oneshot share; `Fifo` where a queue keeps its items.
const WAIT_LIST: &[&str] = &[
    "WaitList",
    "WaitKey",
    "Fifo",
    "Place",
    "Standing",
    "call_each",
    "CancelledError",
    "LoopHandle",
    "current_task_id",
    "probe",
    "tell_of_own_lock",
    "captured_context",
    "Twin",
];

#[test]
fn imports_between_the_parts_point_down() {
    let sources = library(&["runtime"]);
    let lib = sources.iter().find(|source| source.path == "runtime/lib.rs").unwrap();
    let front_door = front_door(lib);
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| !source.is_in("runtime/kernel/")) {
        // The front door itself has all.
        let module = module_of(source);
        let Some(part) = module.first() else { continue };
        // A part of a part may have rules of its own.
        let parted = |name: &str| name.split("::").zip(&module).filter(|(a, b)| a == b).count();
        let rules = PARTS.iter().filter(|(name, _)| parted(name) == name.split("::").count());
        let Some((_, allowed)) = rules.max_by_key(|(name, _)| parted(name)) else {
            violations.push(format!("{}: `{part}` has no place in `PARTS` in tests/tidy.rs", source.path));
            continue;
        };
        for (line, path) in imports(source) {
            // What the front door re-exports belongs to the part that it comes from.
            let path = front_door.get(&path[0]).unwrap_or(&path);
            let of_wait_list = path[0] == "kernel" && WAIT_LIST.contains(&path[path.len() - 1].as_str());
            let may = path[0] == *part
                || allowed.contains(&path[0].as_str())
                || allowed.contains(&"wait list") && of_wait_list;
            if !may {
                violations.push(format!("{}:{line}: `{part}` imports `{}`", source.path, path.join("::")));
            }
        }
    }
    check(
        "A part imports only those that `PARTS` gives it; `sync` and `queue` know no loop, only the wait list.",
        "Move the thing down, or pass it in as an argument, a closure or a trait.",
        violations,
    );
}

#[test]
fn imports_inside_the_kernel_point_down() {
    let sources = library(&["runtime/kernel"]);
    let door = sources.iter().find(|source| source.path == "runtime/kernel/mod.rs").unwrap();
    let layers = layers(&door.text);
    let mut violations = Vec::new();
    let mut beside: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut places = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path != door.path) {
        let module = module_of(source).swap_remove(1);
        let Some(&layer) = layers.get(&module) else {
            violations
                .push(format!("{}: `{module}` has no layer in the table of {}", source.path, door.path));
            continue;
        };
        for (line, path) in imports(source) {
            let place = format!("{}:{line}", source.path);
            let target = path.get(1).filter(|_| path[0] == "kernel");
            match target.and_then(|target| Some((target, *layers.get(target)?))) {
                None => violations.push(format!("{place}: `{module}` imports `{}`", path.join("::"))),
                Some((target, at)) if at > layer => {
                    violations.push(format!("{place}: `{module}` ({layer}) imports `{target}` ({at})"));
                }
                Some((target, at)) if at == layer && *target != module => {
                    beside.entry(module.clone()).or_default().insert(target.clone());
                    places.insert((place, module.clone(), target.clone()));
                }
                Some(_) => {}
            }
        }
    }
    for (place, module, target) in places {
        if reaches(&beside, &target, &module, &mut BTreeSet::new()) {
            violations.push(format!("{place}: `{module}` and `{target}`, of one layer, import each other"));
        }
    }
    check(
        "In the kernel a module imports those of the layers before its own in the table of kernel/mod.rs, and \
         of its own layer without a circle.",
        "Pass the thing in as an argument or a trait, or move what both need down.",
        violations,
    );
}

/// The library itself: neither tests nor macros.
fn library(folders: &[&str]) -> Vec<Source> {
    let mut sources = sources(folders);
    sources.retain(|source| !source.is_test() && !source.is_in("runtime/macros/"));
    sources
}
