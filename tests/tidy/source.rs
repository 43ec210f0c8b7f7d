//! A source file as the rules see it: with its comments, strings and tests told from its code.

use std::fs;
use std::path::Path;

/// A source file of the project.
pub(crate) struct Source {
    /// From the project's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked out: the same lines.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let code = blank_out_prose(&text);
        Self { path, text, code }
    }

    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        let path = format!("/{}", self.path);
        path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/loom.rs")
    }

    /// The code up to the first module of tests inside the file.
    pub(crate) fn code_without_tests(&self) -> &str {
        let begins_tests = |&at: &usize| {
            let (attribute, rest) = self.code[at..].split_once('\n').unwrap_or_default();
            let inline = rest
                .trim_start()
                .strip_prefix("mod ")
                .is_some_and(|rest| rest.find(['{', ';']).is_some_and(|end| rest[end..].starts_with('{')));
            inline && has_word(attribute, "test")
        };
        let mut attributes = self.code.match_indices("#[cfg(").map(|(at, _)| at);
        &self.code[..attributes.find(begins_tests).unwrap_or(self.code.len())]
    }

    /// The numbers of the lines of code for which `offends`.
    pub(crate) fn lines(&self, offends: impl Fn(&str) -> bool) -> Vec<usize> {
        numbers_of_lines(&self.code, offends)
    }

    /// As [`lines`](Self::lines), tests left aside.
    pub(crate) fn lines_without_tests(&self, offends: impl Fn(&str) -> bool) -> Vec<usize> {
        if self.is_test() { Vec::new() } else { numbers_of_lines(self.code_without_tests(), offends) }
    }
}

fn numbers_of_lines(code: &str, offends: impl Fn(&str) -> bool) -> Vec<usize> {
    code.lines().enumerate().filter(|(_, line)| offends(line)).map(|(n, _)| n + 1).collect()
}

/// All `.rs` files of these folders.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    fn walk(root: &Path, folder: &str, found: &mut Vec<Source>) {
        // A published crate comes without some of its folders.
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let path = format!("{folder}/{}", name.to_str().expect("a file name in Unicode"));
            if root.join(&path).is_dir() {
                if name != "target" {
                    walk(root, &path, found);
                }
            } else if path.ends_with(".rs") {
                let text = fs::read_to_string(root.join(&path)).unwrap();
                found.push(Source::new(path, text));
            }
        }
    }
    let mut found = Vec::new();
    for folder in folders {
        walk(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut found);
    }
    assert!(!found.is_empty(), "no sources in {folders:?}");
    found
}

pub(crate) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` as a word of its own.
pub(crate) fn find_word(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !text[..at].ends_with(is_word_char) && !text[at + word.len()..].starts_with(is_word_char))
}

pub(crate) fn has_word(text: &str, word: &str) -> bool {
    find_word(text, word).is_some()
}

/// Replaces comments, strings and characters by blanks, and keeps the lines.
fn blank_out_prose(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let before_word = !code.ends_with(is_word_char);
        let prose = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if before_word => prefixed_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if prose == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..prose].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[prose..];
        }
    }
    code
}

/// The length of the comment that `text` begins with; it may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

/// The length of the plain string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a string such as `r"…"`, `br#"…"#` or `b"…"` at the beginning of `text`, 0 if there is none.
fn prefixed_string(text: &str) -> usize {
    let prefix = text.find(|c| !matches!(c, 'r' | 'b' | 'c')).unwrap_or(text.len());
    let hashes = text[prefix..].find(|c| c != '#').unwrap_or(0);
    let quote = prefix + hashes;
    if !text[quote..].starts_with('"') {
        return 0;
    }
    if !text[..prefix].contains('r') {
        return if hashes == 0 { quote + string(&text[quote..]) } else { 0 };
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[quote + 1..].find(&end).map_or(text.len(), |at| quote + 1 + at + end.len())
}

/// The length of the character that `text` begins with, 0 if it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[test]
fn code_is_told_from_prose() {
    let text = "a /* b /* c */ */ 'd' '\\'' \"e \\\" f\" br#\"g\"h\"# 'i: for r // j\nk";
    let words: Vec<_> = blank_out_prose(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "'i:", "for", "r", "k"]);
}

#[test]
fn code_is_told_from_tests() {
    let text = "a\n#[cfg(test)]\nmod elsewhere;\nb\n#[cfg(all(test, not(loom)))]\nmod tests {\nc\n}\n";
    let source = Source::new("runtime/x.rs".to_owned(), text.to_owned());
    assert!(has_word(source.code_without_tests(), "b"));
    assert!(!has_word(source.code_without_tests(), "c"));
}
