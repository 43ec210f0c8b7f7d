//! The lists: which behaviours there are, and why some of them have no test.

/// A module of CPython's test suite.
pub(crate) struct Module {
    pub(crate) name: String,
    /// Beginnings of paths in which its tests may be, besides files and folders of its name.
    pub(crate) places: Vec<String>,
    pub(crate) behaviours: Vec<Behaviour>,
}

/// A test of CPython's, or several of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Behaviour {
    /// Tells it from others of its name.
    pub(crate) group: Option<String>,
    pub(crate) name: String,
    /// More than one: so many tests that are not listed one by one.
    pub(crate) tests: usize,
}

impl Behaviour {
    fn new(word: &str) -> Self {
        let (name, tests) = match word.split_once('*') {
            Some((name, tests)) => (name, tests.parse().unwrap_or_else(|_| panic!("not a number: {word}"))),
            None => (word, 1),
        };
        let (group, name) = match name.split_once('.') {
            Some((group, name)) => (Some(group.to_owned()), name),
            None => (None, name),
        };
        Self { group, name: name.to_owned(), tests }
    }

    /// As it is written in the lists.
    pub(crate) fn word(&self) -> String {
        let group = self.group.as_ref().map(|group| format!("{group}.")).unwrap_or_default();
        let tests = if self.tests > 1 { format!("*{}", self.tests) } else { String::new() };
        format!("{group}{}{tests}", self.name)
    }
}

/// Why behaviours have no test.
pub(crate) struct Reason {
    pub(crate) why: String,
    pub(crate) module: String,
    /// A behaviour, `*` for all of the module that are missing, or `Group.*`.
    pub(crate) what: String,
}

impl Reason {
    pub(crate) fn is_wildcard(&self) -> bool {
        self.what == "*" || self.what.ends_with(".*")
    }

    pub(crate) fn covers(&self, module: &Module, behaviour: &Behaviour) -> bool {
        let group = self.what.strip_suffix(".*");
        self.module == module.name
            && (self.what == "*"
                || self.what == behaviour.word()
                || group.is_some() && group == behaviour.group.as_deref())
    }
}

/// Reads modules: `[name] place place`, and lines of behaviours.
pub(crate) fn listed(text: &str) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for line in lines(text) {
        if let Some((name, places)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            let places = places.split_whitespace().map(str::to_owned).collect();
            modules.push(Module { name: name.to_owned(), places, behaviours: Vec::new() });
            continue;
        }
        let module = modules.last_mut().expect("a module before its behaviours");
        for behaviour in line.split_whitespace().map(Behaviour::new) {
            assert!(!module.behaviours.contains(&behaviour), "{}: {} twice", module.name, behaviour.word());
            module.behaviours.push(behaviour);
        }
    }
    modules
}

/// Reads reasons: a line each, and below it, indented, lines of a module and its behaviours.
pub(crate) fn reasons(text: &str) -> Vec<Reason> {
    let mut found = Vec::new();
    let mut why = "";
    for line in lines(text) {
        let Some(rest) = line.strip_prefix(' ') else {
            why = line;
            continue;
        };
        let (module, words) = rest.trim_start().split_once(": ").expect("a module and its behaviours");
        let reason =
            |what: &str| Reason { why: why.to_owned(), module: module.to_owned(), what: what.to_owned() };
        found.extend(words.split_whitespace().map(reason));
    }
    found
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
