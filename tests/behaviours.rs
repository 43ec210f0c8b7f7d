//! How much of what CPython's tests of asyncio state is tested here, and why the rest is not.
//!
//! `behaviours/listed.txt` has the behaviours, by module of CPython's test suite; `behaviours/missing.txt` has those
//! that no test here states, by reason. This program looks for a test of each name, prints the table, and fails if a behaviour has neither a test nor a reason, or has both, or if a function of
//! that name is no test. It is not a test of what the tests do: that is said where they are.
//!
//! It has no harness, so that it prints the table whenever it runs: `cargo test --test behaviours`.

#[path = "behaviours/coverage.rs"]
mod coverage;
#[path = "behaviours/list.rs"]
mod list;
#[path = "tidy/source.rs"]
#[expect(dead_code, reason = "the rules of tests/tidy.rs use the rest of it")]
mod source;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use coverage::Coverage;
use list::{Module, Reason, listed, reasons};
use source::{Source, sources};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("behaviours: test");
        return ExitCode::SUCCESS;
    }
    the_checks_are_checked();
    let modules = listed(&read("listed.txt").expect("the list"));
    let given = reasons(&read("missing.txt").expect("the reasons"));
    let coverage = Coverage::new(&modules, &given, &sources(&["tests"]));
    print!("{}", coverage.table(&modules));
    if coverage.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nFAILED\n  {}", coverage.violations.join("\n  "));
    ExitCode::FAILURE
}

fn read(name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviours");
    fs::read_to_string(folder.join(name)).ok()
}

/// Finds what is wrong in a small world.
fn the_checks_are_checked() {
    let modules = listed(
        "# a comment\n[test_a] tests/elsewhere\ntest_one test_two Kind.test_two\n\nGroup.test_three pipe*16\n[test_b]\n\
         test_one\n",
    );
    let source = |path: &str, text: &str| Source::new(path.to_owned(), text.to_owned());
    let sources = [
        source(
            "tests/api/test_a/mod.rs",
            "#[test]\n// why\nfn test_one() {}\n#[evloop::test]\nasync fn test_two() {}",
        ),
        source("tests/api/test_b.rs", "// #[test]\nfn test_one() {}\n/// fn test_four() {}\n"),
        source("tests/elsewhere/x.rs", "tests! {\n  test_three => 5;\n}\n\nfn test_three() {}\n"),
        source("tests/nowhere/x.rs", "#[test]\nfn kind_test_two() {}\n"),
    ];
    let violations = |missing: &str| Coverage::new(&modules, &reasons(missing), &sources).violations;
    let no_test = "tests/api/test_b.rs: `test_one` is no test";
    assert_eq!(
        violations(""),
        [
            no_test,
            "test_a: Kind.test_two has neither a test nor a reason",
            "test_a: pipe*16 has neither a test nor a reason",
            "test_b: test_one has neither a test nor a reason"
        ]
    );
    assert_eq!(
        violations("why\n  test_a: Kind.test_two pipe*16\n  test_b: test_one\n"),
        [no_test],
        "a reason for each"
    );
    assert_eq!(
        violations("why\n  test_a: Kind.* pipe*16\n  test_b: *\n"),
        [no_test],
        "the same with wildcards"
    );
    assert_eq!(
        violations(
            "why\n  test_a: * test_one Group.*\n  test_b: test_one test_five\n  test_c: *\nand\n  test_b: test_one\n"
        ),
        [
            no_test,
            "test_a: test_one has a test and a reason, \"why\"",
            "test_a: `Group.*`: nothing of that is missing",
            "test_b: `test_five`: nothing of that name is listed",
            "test_c: `*`: nothing of that name is listed",
            "test_b: test_one has two reasons, \"why\" and \"and\"",
        ]
    );
    let table = Coverage::new(&modules, &reasons("why\n  test_a: *\n"), &sources).table(&modules);
    let rows: Vec<_> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[1..4], ["test_a 3 of 20", "test_b 0 of 1", "all 3 of 21"]);
    assert!(rows.contains(&"why: Kind.test_two, pipe*16".to_owned()), "{table}");
}
