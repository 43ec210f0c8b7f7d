//! Which of the listed behaviours have a test, and what is wrong with the lists or the tests.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::source::{Source, has_word, is_word_char};
use super::{Module, Reason};
use crate::list::Behaviour;

/// A function among the tests.
struct Function {
    path: String,
    name: String,
    is_test: bool,
}

/// What became of each behaviour.
enum State<'a> {
    Covered,
    Missing(&'a str),
    /// Neither, which is a violation.
    Open,
}

pub(crate) struct Coverage<'a> {
    /// As the modules and their behaviours.
    states: Vec<Vec<State<'a>>>,
    pub(crate) violations: Vec<String>,
}

impl<'a> Coverage<'a> {
    pub(crate) fn new(modules: &[Module], reasons: &'a [Reason], sources: &[Source]) -> Self {
        let functions: Vec<_> = sources.iter().flat_map(functions).collect();
        let mut coverage = Self { states: Vec::new(), violations: Vec::new() };
        let mut open = Vec::new();
        let mut needed = vec![false; reasons.len()];
        let mut contradictions = Vec::new();
        for module in modules {
            let mut states = Vec::new();
            for behaviour in &module.behaviours {
                let covered = coverage.has_test(module, behaviour, &functions);
                let about: Vec<_> =
                    reasons.iter().enumerate().filter(|(_, r)| r.covers(module, behaviour)).collect();
                let word = format!("{}: {}", module.name, behaviour.word());
                // A reason of its own beats one that stands for whatever is missing.
                let has_own = about.iter().any(|(_, reason)| !reason.is_wildcard());
                let counts = |reason: &Reason| if has_own { !reason.is_wildcard() } else { !covered };
                let given: Vec<_> = about.into_iter().filter(|(_, reason)| counts(reason)).collect();
                given.iter().for_each(|(n, _)| needed[*n] = true);
                states.push(match &*given {
                    [] if covered => State::Covered,
                    [] => {
                        open.push(format!("{word} has neither a test nor a reason"));
                        State::Open
                    }
                    [(_, reason), ..] if covered => {
                        contradictions.push(format!("{word} has a test and a reason, {:?}", reason.why));
                        State::Covered
                    }
                    [(_, first), (_, second), ..] if first.why != second.why => {
                        contradictions
                            .push(format!("{word} has two reasons, {:?} and {:?}", first.why, second.why));
                        State::Missing(&first.why)
                    }
                    [(_, reason), ..] => State::Missing(&reason.why),
                });
            }
            coverage.states.push(states);
        }
        let stale = reasons.iter().zip(&needed).filter(|(_, needed)| !**needed).map(|(reason, _)| {
            let listed =
                modules.iter().any(|module| module.behaviours.iter().any(|b| reason.covers(module, b)));
            let what = if listed { "nothing of that is missing" } else { "nothing of that name is listed" };
            format!("{}: `{}`: {what}", reason.module, reason.what)
        });
        let (tests, two) = contradictions.into_iter().partition::<Vec<_>, _>(|c| !c.contains("two reasons"));
        coverage.violations.extend(open.into_iter().chain(tests).chain(stale).chain(two));
        coverage
    }

    /// Whether there is a test; complains of functions that only look like one.
    fn has_test(&mut self, module: &Module, behaviour: &Behaviour, functions: &[Function]) -> bool {
        let mut found = false;
        for function in functions.iter().filter(|function| states(function, module, behaviour)) {
            found |= function.is_test;
            let complaint = format!("{}: `{}` is no test", function.path, function.name);
            if !function.is_test && !self.violations.contains(&complaint) {
                self.violations.push(complaint);
            }
        }
        found
    }

    /// How many behaviours each module has and how many of them have tests; then the others, by reason.
    pub(crate) fn table(&self, modules: &[Module]) -> String {
        let mut text = String::from("behaviours of CPython's tests that are tests here\n");
        let mut row = |name: &str, covered: usize, all: usize| {
            writeln!(text, "  {name:24}{covered:4} of {all:4}").expect("a String takes all");
        };
        let (mut sum, mut sum_covered) = (0, 0);
        for (module, states) in modules.iter().zip(&self.states) {
            let all = || module.behaviours.iter().zip(states);
            let count = all().map(|(behaviour, _)| behaviour.tests).sum::<usize>();
            let covered = all().filter(|(_, state)| matches!(state, State::Covered)).count();
            row(&module.name, covered, count);
            sum += count;
            sum_covered += covered;
        }
        row("all", sum_covered, sum);
        text.push_str("those that are not, and why\n");
        for (module, states) in modules.iter().zip(&self.states) {
            let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (behaviour, state) in module.behaviours.iter().zip(states) {
                let why = match state {
                    State::Covered => continue,
                    State::Missing(why) => why,
                    State::Open => "NO REASON",
                };
                by_reason.entry(why).or_default().push(behaviour.word());
            }
            if !by_reason.is_empty() {
                writeln!(text, "  {}", module.name).expect("a String takes all");
            }
            for (why, words) in by_reason {
                writeln!(text, "    {why}: {}", words.join(", ")).expect("a String takes all");
            }
        }
        text
    }
}

/// Whether a function, if it is a test, states this behaviour: by its place and its name.
fn states(function: &Function, module: &Module, behaviour: &Behaviour) -> bool {
    let group = behaviour.group.as_deref().map(snake_case);
    let with_group =
        group.as_ref().is_some_and(|group| function.name == format!("{group}_{}", behaviour.name));
    if !with_group && function.name != behaviour.name || !module.may_be_in(&function.path) {
        return false;
    }
    // Where the name alone does not say which it is, the group has to.
    let is_ambiguous = module.behaviours.iter().filter(|other| other.name == behaviour.name).count() > 1;
    !is_ambiguous
        || with_group
        || group.is_none_or(|group| segments(&function.path).any(|part| part == group))
}

impl Module {
    fn may_be_in(&self, path: &str) -> bool {
        let is_anothers = |part: &str| part.starts_with("test_") && self.name.starts_with("test_");
        segments(path).any(|part| part == self.name)
            || !segments(path).any(is_anothers) && self.places.iter().any(|place| path.starts_with(place))
    }
}

/// The folders of a path, and its file without the ending.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_end_matches(".rs").split('/')
}

/// `LifoQueue` becomes `lifo_queue`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The functions of a file, and whether an attribute or a table of the file makes them tests.
fn functions(source: &Source) -> Vec<Function> {
    let texts: Vec<_> = source.text.lines().collect();
    let codes: Vec<_> = source.code.lines().collect();
    let mut found = Vec::new();
    for (n, line) in codes.iter().enumerate() {
        let Some((_, rest)) = line.split_once("fn ").filter(|_| has_word(line, "fn")) else { continue };
        let name: String = rest.chars().take_while(|c| is_word_char(*c)).collect();
        let above =
            (0..n).rev().take_while(|&n| !texts[n].trim().is_empty() && !codes[n].contains(['}', ';']));
        let has_attribute = above.into_iter().any(|n| {
            let attribute = codes[n].trim();
            attribute == "#[test]" || attribute.starts_with("#[evloop::test")
        });
        // Where a test needs a process of its own, its program has a table of them: `name => what it prints`.
        let row = format!("{name} =>");
        let is_test = has_attribute || codes.iter().any(|line| line.trim().starts_with(&row));
        found.push(Function { path: source.path.clone(), name, is_test });
    }
    found
}
