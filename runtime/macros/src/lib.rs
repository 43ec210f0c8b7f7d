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
    match check(&function, attribute).and_then(|()| read_options(options)) {
        Ok(clock) => function.rewrite(attribute, clock),
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

/// Reads `clock = "…"`; `None` if nothing is asked for.
fn read_options(options: TokenStream) -> Result<Option<Clock>, Refusal> {
    let mut clock = None;
    let mut tokens = options.into_iter();
    while let Some(option) = tokens.next() {
        if option.to_string() != "clock" {
            return refuse(option.span(), format!("unknown option `{option}`: {CHOICES}"));
        }
        if clock.is_some() {
            return refuse(option.span(), "`clock` is given twice");
        }
        match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Punct(equals)), Some(value)) if equals.as_char() == '=' => {
                let Some(known) = clock_named(&value.to_string()) else {
                    return refuse(value.span(), format!("unknown clock {value}: {CHOICES}"));
                };
                clock = Some(known);
            }
            _ => return refuse(option.span(), format!("`clock` needs a value: {CHOICES}")),
        }
        match tokens.next() {
            Some(token) if token.to_string() != "," => {
                return refuse(token.span(), "expected a comma between two options");
            }
            _ => {}
        }
    }
    Ok(clock)
}

const CHOICES: &str = "write `clock = \"real\"` or `clock = \"virtual\"`";

/// `literal` as in the source, quotes included: a bare word is not taken for a string.
fn clock_named(literal: &str) -> Option<Clock> {
    match literal {
        "\"real\"" => Some(Clock::Real),
        "\"virtual\"" => Some(Clock::Virtual),
        _ => None,
    }
}

/// What drives the body, as source text; the inner function's call goes between the two pieces.
fn call(attribute: Attribute, clock: Option<Clock>) -> (&'static str, &'static str) {
    match (attribute, clock) {
        (Attribute::Main, None | Some(Clock::Real)) => ("::evloop::run", ""),
        (Attribute::Main, Some(Clock::Virtual)) => ("::evloop::__private::main", "::evloop::Clock::Virtual,"),
        (Attribute::Test, None | Some(Clock::Virtual)) => {
            ("::evloop::__private::test", "::evloop::Clock::Virtual,")
        }
        (Attribute::Test, Some(Clock::Real)) => ("::evloop::__private::test", "::evloop::Clock::Monotonic,"),
    }
}

impl Function {
    fn rewrite(&self, attribute: Attribute, clock: Option<Clock>) -> TokenStream {
        let mut inner = TokenStream::new();
        inner.extend(self.qualifiers.iter().cloned());
        inner.extend(self.declaration());
        inner.extend(self.body.clone().map(TokenTree::Group));

        let (driver, first) = call(attribute, clock);
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

    use super::{Attribute, Clock, call, clock_named};

    #[test]
    fn only_the_two_quoted_names_are_clocks() {
        assert_eq!(clock_named("\"real\""), Some(Clock::Real));
        assert_eq!(clock_named("\"virtual\""), Some(Clock::Virtual));
        for other in ["real", "\"Real\"", "\"\"", "1"] {
            assert_eq!(clock_named(other), None, "{other}");
        }
    }

    #[test]
    fn a_program_runs_in_real_time_and_a_test_in_virtual_time_unless_told_otherwise() {
        assert_eq!(call(Attribute::Main, None), call(Attribute::Main, Some(Clock::Real)));
        assert_eq!(call(Attribute::Test, None), call(Attribute::Test, Some(Clock::Virtual)));
        assert_eq!(call(Attribute::Main, None), ("::evloop::run", ""));
        assert!(call(Attribute::Test, Some(Clock::Real)).1.contains("Monotonic"));
    }
}
