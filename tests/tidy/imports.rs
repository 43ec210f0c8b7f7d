//! Who imports whom: the paths that a file of the library names, and the kernel's table of layers.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, is_word_char};

/// The module of a file in runtime/, as a path from the crate's root.
pub(crate) fn module_of(source: &Source) -> Vec<String> {
    let path = source.path.strip_prefix("runtime/").unwrap().strip_suffix(".rs").unwrap();
    let mut module: Vec<_> = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
        module.pop();
    }
    module
}

/// What a file names of its own crate outside of its tests: all paths that begin with `crate`, `super` or
/// `self`, as seen from the crate's root, with the number of the line.
pub(crate) fn imports(source: &Source) -> Vec<(usize, Vec<String>)> {
    let module = module_of(source);
    let mut found = Vec::new();
    for (line, path) in paths(source.code_without_tests(), &["crate::", "super::", "self::"]) {
        let mut absolute = module.clone();
        for (n, segment) in path.into_iter().enumerate() {
            match segment.as_str() {
                "crate" if n == 0 => absolute.clear(),
                "self" => {}
                "super" => {
                    absolute.pop();
                }
                _ => absolute.push(segment),
            }
        }
        if !absolute.is_empty() {
            found.push((line, absolute));
        }
    }
    found
}

/// The names that the crate's front door re-exports, each with the path to where it comes from.
pub(crate) fn front_door(lib: &Source) -> BTreeMap<String, Vec<String>> {
    let reexported = paths(&lib.code, &["pub use "]).into_iter();
    reexported.filter_map(|(_, path)| Some((path.last()?.clone(), path))).collect()
}

/// All paths, trees expanded, that begin with one of these words; `pub use` is not part of the path.
fn paths(code: &str, beginnings: &[&str]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in code.char_indices() {
        let begins = beginnings.iter().any(|beginning| code[at..].starts_with(beginning));
        if !begins || code[..at].ends_with(|c| is_word_char(c) || c == ':') {
            continue;
        }
        let path = code[at..].strip_prefix("pub use ").unwrap_or(&code[at..]);
        let mut expanded = Vec::new();
        expand(path, &[], &mut expanded);
        let line = code[..at].matches('\n').count() + 1;
        found.extend(expanded.into_iter().map(|path| (line, path)));
    }
    found
}

/// Expands the path or tree of paths that `text` begins with; returns the text after it.
fn expand<'a>(text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') && !rest.is_empty() {
            rest = expand(rest, before, found).trim_start_matches(|c| c != ',' && c != '}');
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        return rest.trim_start().strip_prefix('}').unwrap_or_default();
    }
    let end = text.find(|c| !is_word_char(c)).unwrap_or(text.len());
    let mut path = before.to_vec();
    if end > 0 {
        path.push(text[..end].to_owned());
    }
    let rest = &text[end..];
    match rest.strip_prefix("::") {
        // Neither generic arguments nor `*` name anything further.
        Some(next) if next.starts_with(|c| is_word_char(c) || c == '{') => expand(next, &path, found),
        _ => {
            found.push(path);
            rest
        }
    }
}

/// The layer of each of the kernel's modules, from lines such as
/// "//! 1. `context` (a loop's state), `report`".
pub(crate) fn layers(door: &str) -> BTreeMap<String, usize> {
    let mut layers = BTreeMap::new();
    for line in door.lines() {
        let Some((number, modules)) = line.strip_prefix("//! ").and_then(|entry| entry.split_once(". "))
        else {
            continue;
        };
        let Ok(layer) = number.parse() else { continue };
        layers.extend(modules.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), layer)));
    }
    layers
}

/// Whether there is a way from one module to another.
pub(crate) fn reaches<'a>(
    edges: &'a BTreeMap<String, BTreeSet<String>>,
    from: &'a str,
    to: &str,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    let mut next = edges.get(from).into_iter().flatten();
    from == to || seen.insert(from) && next.any(|next| reaches(edges, next, to, seen))
}

#[test]
fn imports_are_understood() {
    let text = "use super::{a::B, c::{self, d}};\nuse crate::kernel::{E, f::*};\nlet g = super::h::i::<J>(1);\n\
                let k = xsuper::l;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    let source = Source::new("runtime/x/y.rs".to_owned(), text.to_owned());
    let found: Vec<_> = imports(&source).iter().map(|(n, path)| format!("{n} {}", path.join("::"))).collect();
    assert_eq!(found, ["1 x::a::B", "1 x::c", "1 x::c::d", "2 kernel::E", "2 kernel::f", "3 x::h::i"]);
}

#[test]
fn the_table_of_layers_is_understood() {
    let layers = layers("//! Layers:\n//! 0. `a`, `b`\n//! 1. `c`: what is told of others\nmod d;\n");
    assert_eq!(layers.into_iter().collect::<Vec<_>>(), [("a".into(), 0), ("b".into(), 0), ("c".into(), 1)]);
}
