//! The attributes `#[evloop::main]` and `#[evloop::test]`.
//!
//! Use them through `evloop` (feature `macros`, on by default), never from this crate: what they write names `::evloop`.
//!
//! How they work: the last token of a function is its body and the group before an optional `->` holds its arguments,
//! so a function without generics can be taken apart without a parser for Rust. `async fn f() -> T { body }` becomes
//!
//! ```text
//! fn f() -> T {
//!     async fn f() -> T { body }
//!     ::evloop::run(f())
//! }
//! ```
//!
//! The inner function rather than an `async` block, because a block does not learn the return type from outside: `?`
//! would ask for annotations, and a wrong last expression would be reported at the attribute instead of where it
//! stands. Every token the user wrote keeps its span. A refused function leaves `fn f() { compile_error!("…") }`
//! behind, so that one mistake gives one message and not a second one about a missing `main`.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Runs an `async fn` on a new event loop: the function becomes an ordinary one that returns when the body is done.
///
/// ```text
/// #[evloop::main]
/// async fn main() -> std::io::Result<()> {
///     evloop::sleep(evloop::time::secs(1)).await;
///     println!("a second later");
///     Ok(())
/// }
/// ```
///
/// The function need not be called `main`; any `async fn` without arguments will do. Attributes, visibility and return
/// type stay as written. A loop lives on one thread, so calling such a function while a loop runs there panics.
///
/// # Options
/// - `#[evloop::main(clock = "real")]`, the default: `evloop::run(body)`.
/// - `#[evloop::main(clock = "virtual")]`: time jumps to the next deadline whenever nothing else can happen. An hour of
///   sleeping takes no time, and the output is the same every time.
///
/// Ctrl-C cancels the body, and a second one ends the program at once with exit code 130: see `evloop::Runner`.
///
/// # Compile errors
/// For anything but an `async fn` with a body; for arguments, generics, `const`, `unsafe` and `extern`; for options
/// other than those above.
///
/// # asyncio
/// `asyncio.run(main())`.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, Attribute::Main)
}

/// Makes an `async fn` a test on the virtual clock.
///
/// ```text
/// #[evloop::test]
/// async fn an_hour_of_sleep_takes_an_hour_of_the_loops_time() {
///     let start = evloop::now();
///     evloop::sleep(evloop::time::secs(3600)).await;          // returns at once
///     assert_eq!(evloop::now() - start, evloop::time::secs(3600));    // exactly
/// }
/// ```
///
/// Time jumps to the next deadline whenever nothing else can happen, so a test waits for nothing and may compare
/// instants with `==`. If nothing can ever happen again the test fails and lists the tasks that are stuck.
///
/// `#[should_panic]`, `#[ignore]`, doc comments, other attributes and the return type (`Result<(), E>`, for `?`) mean
/// what they mean on a plain test. Do not write `#[test]` too: the attribute adds it.
///
/// # Options
/// - `#[evloop::test(clock = "virtual")]`, the default.
/// - `#[evloop::test(clock = "real")]`: for what depends on the outside world, such as another process.
/// - `#[evloop::test(order = "fifo")]`: the test is about the order in which things run. Others are run in another
///   order if the environment has a number in `EVLOOP_TEST_SEED`: see `evloop::testing`.
///
/// # Compile errors
/// As for [`main`](macro@main), and for a second `#[test]`.
///
/// # asyncio
/// `unittest.IsolatedAsyncioTestCase`: a new loop for each test. asyncio has no virtual clock.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, Attribute::Test)
}

#[derive(Clone, Copy, PartialEq)]
enum Attribute {
    Main,
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Clock {
    Real,
    Virtual,
}

/// What stands between the attribute's parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Options {
    clock: Option<Clock>,
    fifo: bool,
}

/// What is wrong, and which of the user's tokens to point at.
struct Refusal {
    message: String,
    span: Span,
}

fn refuse<T>(span: Span, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), span })
}

fn expand(options: TokenStream, item: TokenStream, attribute: Attribute) -> TokenStream {
    let function = match read_function(&flatten(item.clone())) {
        Ok(function) => function,
        Err(refusal) => return [compile_error(&refusal), item].into_iter().collect(),
    };
    match check(&function, attribute).and_then(|()| read_options(options, attribute)) {
        Ok(options) => function.rewrite(attribute, options),
        Err(refusal) => function.stub(&refusal, attribute),
    }
}

/// Opens the invisible groups in which `macro_rules!` hands over a `$vis`, a `$body` or a whole `$item`.
fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let open = |token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => flatten(group.stream()),
        token => vec![token],
    };
    tokens.into_iter().flat_map(open).collect()
}

/// The parts of `#[attributes] visibility qualifiers fn name(arguments) -> output { body }`.
struct Function {
    /// Attributes and visibility, to be repeated as they are.
    head: Vec<TokenTree>,
    /// What stands between the visibility and `fn`.
    qualifiers: Vec<TokenTree>,
    keyword: Ident,
    name: Ident,
    /// What stands between the name and the body: arguments, return type, possibly generics.
    signature: Vec<TokenTree>,
    /// Absent in a trait's declaration.
    body: Option<Group>,
}

fn read_function(item: &[TokenTree]) -> Result<Function, Refusal> {
    let is =
        |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
    let not_a_function = "this attribute belongs on a function: `async fn main() { … }`";
    let start = item.first().map_or(Span::call_site(), TokenTree::span);

    // Attributes and `pub(crate)` hold an `fn` only inside their brackets, and those are single tokens here.
    let Some(at) = item.iter().position(|token| is(token, "fn")) else {
        return refuse(start, not_a_function);
    };
    let (TokenTree::Ident(keyword), Some(TokenTree::Ident(name))) = (&item[at], item.get(at + 1)) else {
        return refuse(start, not_a_function);
    };
    let qualifier = |token: &TokenTree| {
        ["const", "async", "unsafe", "safe", "extern"].iter().any(|word| is(token, word))
            || matches!(token, TokenTree::Literal(_)) // the ABI in `extern "C"`
    };
    let qualifiers = item[..at].iter().rev().take_while(|token| qualifier(token)).count();
    let (signature, body) = match item[at + 2..].split_last() {
        Some((TokenTree::Group(group), rest)) if group.delimiter() == Delimiter::Brace => {
            (rest, Some(group.clone()))
        }
        _ => (&item[at + 2..], None),
    };
    Ok(Function {
        head: item[..at - qualifiers].to_vec(),
        qualifiers: item[at - qualifiers..at].to_vec(),
        keyword: keyword.clone(),
        name: name.clone(),
        signature: signature.to_vec(),
        body,
    })
}

/// Refuses what a function called by the operating system or by the test harness cannot be.
fn check(function: &Function, attribute: Attribute) -> Result<(), Refusal> {
    let name = &function.name;
    let mut is_async = false;
    for token in &function.qualifiers {
        match token.to_string().as_str() {
            "async" => is_async = true,
            word @ ("const" | "unsafe" | "extern") => {
                return refuse(token.span(), format!("`{name}` starts an event loop and cannot be `{word}`"));
            }
            _ => {}
        }
    }
    if !is_async {
        return refuse(
            function.keyword.span(),
            format!("`{name}` must be async to run on a loop: `async fn {name}()`"),
        );
    }
    match function.signature.first() {
        Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis => {
            if !arguments.stream().is_empty() {
                return refuse(
                    arguments.span(),
                    format!("`{name}` takes no arguments: nobody is there to give them"),
                );
            }
        }
        other => {
            let span = other.map_or(name.span(), TokenTree::span);
            return refuse(span, format!("`{name}` cannot be generic: nobody is there to choose the types"));
        }
    }
    if let Some(bounds) = function.signature.iter().find(|token| token.to_string() == "where") {
        return refuse(bounds.span(), format!("`{name}` has nothing a `where` could speak of"));
    }
    if function.body.is_none() {
        return refuse(name.span(), format!("`{name}` needs a body"));
    }
    if attribute == Attribute::Test {
        for token in &function.head {
            let TokenTree::Group(brackets) = token else {
                continue;
            };
            if brackets.delimiter() == Delimiter::Bracket && brackets.stream().to_string() == "test" {
                return refuse(brackets.span(), "#[evloop::test] adds #[test] itself: remove this one");
            }
        }
    }
    Ok(())
}

/// Reads `name = "value"`, separated by commas.
fn read_options(options: TokenStream, attribute: Attribute) -> Result<Options, Refusal> {
    let mut read = Options::default();
    let mut names = Vec::new();
    let mut tokens = options.into_iter();
    while let Some(option) = tokens.next() {
        let name = option.to_string();
        let choices = choices(attribute);
        if names.contains(&name) {
            return refuse(option.span(), format!("`{name}` is given twice"));
        }
        let known = name == "clock" || name == "order" && attribute == Attribute::Test;
        if !known {
            return refuse(option.span(), format!("unknown option `{name}`: {choices}"));
        }
        match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Punct(equals)), Some(value)) if equals.as_char() == '=' => {
                if !read.set(&name, &value.to_string()) {
                    return refuse(value.span(), format!("unknown {name} {value}: {choices}"));
                }
            }
            _ => return refuse(option.span(), format!("`{name}` needs a value: {choices}")),
        }
        match tokens.next() {
            Some(token) if token.to_string() != "," => {
                return refuse(token.span(), "expected a comma between two options");
            }
            _ => {}
        }
        names.push(name);
    }
    Ok(read)
}

const fn choices(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Main => "write `clock = \"real\"` or `clock = \"virtual\"`",
        Attribute::Test => "write `clock = \"real\"` or `clock = \"virtual\"`, and `order = \"fifo\"`",
    }
}

impl Options {
    /// Takes an option; says whether the value is one of its own. `literal` is as in the source, quotes included: a
    /// bare word is not taken for a string.
    fn set(&mut self, name: &str, literal: &str) -> bool {
        match (name, literal) {
            ("clock", "\"real\"") => self.clock = Some(Clock::Real),
            ("clock", "\"virtual\"") => self.clock = Some(Clock::Virtual),
            ("order", "\"fifo\"") => self.fifo = true,
            _ => return false,
        }
        true
    }
}

/// What drives the body, as source text; the inner function's call goes between the two pieces.
fn call(attribute: Attribute, options: Options) -> (&'static str, &'static str) {
    const REAL: &str = "::evloop::Clock::Monotonic,";
    const VIRTUAL: &str = "::evloop::Clock::Virtual,";
    match (attribute, options.clock) {
        (Attribute::Main, None | Some(Clock::Real)) => ("::evloop::run", ""),
        (Attribute::Main, Some(Clock::Virtual)) => ("::evloop::__private::main", VIRTUAL),
        (Attribute::Test, clock) => {
            let driver =
                if options.fifo { "::evloop::__private::fifo_test" } else { "::evloop::__private::test" };
            (driver, if clock == Some(Clock::Real) { REAL } else { VIRTUAL })
        }
    }
}

impl Function {
    fn rewrite(&self, attribute: Attribute, options: Options) -> TokenStream {
        let mut inner = TokenStream::new();
        inner.extend(self.qualifiers.iter().cloned());
        inner.extend(self.declaration());
        inner.extend(self.body.clone().map(TokenTree::Group));

        let (driver, first) = call(attribute, options);
        let mut arguments = source(first);
        arguments.extend([TokenTree::from(self.name.clone()), parentheses(TokenStream::new())]);
        inner.extend(source(driver));
        inner.extend([parentheses(arguments)]);
        self.outer(attribute, self.declaration(), inner)
    }

    /// A function of the same name that does not compile, for the reason given.
    fn stub(&self, refusal: &Refusal, attribute: Attribute) -> TokenStream {
        let declaration =
            vec![self.keyword.clone().into(), self.name.clone().into(), parentheses(TokenStream::new())];
        self.outer(attribute, declaration, compile_error(refusal))
    }

    /// `fn name(arguments) -> output`.
    fn declaration(&self) -> Vec<TokenTree> {
        let mut tokens = vec![self.keyword.clone().into(), self.name.clone().into()];
        tokens.extend(self.signature.iter().cloned());
        tokens
    }

    fn outer(&self, attribute: Attribute, declaration: Vec<TokenTree>, body: TokenStream) -> TokenStream {
        let mut tokens = TokenStream::new();
        if attribute == Attribute::Test {
            tokens.extend(source("#[::core::prelude::v1::test]"));
        }
        tokens.extend(self.head.iter().cloned());
        tokens.extend(declaration);
        tokens.extend([TokenTree::Group(Group::new(Delimiter::Brace, body))]);
        tokens
    }
}

fn parentheses(content: TokenStream) -> TokenTree {
    Group::new(Delimiter::Parenthesis, content).into()
}

/// Our own text as tokens that point at the attribute.
fn source(text: &str) -> TokenStream {
    text.parse().expect("this crate's own text is well-formed")
}

fn compile_error(refusal: &Refusal) -> TokenStream {
    let mut tokens: Vec<TokenTree> = source("::core::compile_error!").into_iter().collect();
    let message = TokenTree::from(Literal::string(&refusal.message));
    tokens.push(parentheses(message.into()));
    tokens.push(Punct::new(';', Spacing::Alone).into());
    for token in &mut tokens {
        token.set_span(refusal.span); // rustc underlines from the first token to the last
    }
    tokens.into_iter().collect()
}

#[cfg(test)]
mod tests {
    //! Only what works on text: tokens exist nowhere but inside the compiler.

    use super::{Attribute, Clock, Options, call};

    fn with_clock(clock: Clock) -> Options {
        Options { clock: Some(clock), fifo: false }
    }

    #[test]
    fn only_the_quoted_values_are_known() {
        for (literal, clock) in [("\"real\"", Clock::Real), ("\"virtual\"", Clock::Virtual)] {
            let mut options = Options::default();
            assert!(options.set("clock", literal));
            assert_eq!(options, with_clock(clock));
        }
        let mut options = Options::default();
        assert!(options.set("order", "\"fifo\"") && options.fifo);
        for (name, other) in [("clock", "real"), ("clock", "\"Real\""), ("clock", "\"\""), ("order", "1")] {
            assert!(!Options::default().set(name, other), "{name} = {other}");
        }
    }

    #[test]
    fn a_program_runs_in_real_time_and_a_test_in_virtual_time_unless_told_otherwise() {
        let plain = Options::default();
        assert_eq!(call(Attribute::Main, plain), call(Attribute::Main, with_clock(Clock::Real)));
        assert_eq!(call(Attribute::Test, plain), call(Attribute::Test, with_clock(Clock::Virtual)));
        assert_eq!(call(Attribute::Main, plain), ("::evloop::run", ""));
        assert!(call(Attribute::Test, with_clock(Clock::Real)).1.contains("Monotonic"));
        assert_ne!(call(Attribute::Test, plain).0, call(Attribute::Test, Options { fifo: true, ..plain }).0);
    }
}
