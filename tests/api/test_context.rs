//! CPython's `test_context`: there a `decimal` context, which is one more context-local setting.

use evloop::time::millis;
use evloop::{ContextVar, gather, sleep};

#[evloop::test]
async fn test_asyncio_task_decimal_context() {
    /// How many digits a quotient has.
    static DIGITS: ContextVar<usize> = ContextVar::new("digits").with_default(|| 28);

    let fractions = |digits, x: f64, y: f64| async move {
        DIGITS.set(digits);
        let quotient = |x: f64| format!("{:.1$}", x / y, DIGITS.get().unwrap());
        let first = quotient(x);
        sleep(millis(10)).await;
        (first, quotient(x * x))
    };
    let (three, six) = gather((fractions(3, 1.0, 3.0), fractions(6, 2.0, 3.0))).await.unwrap();
    assert_eq!(three, ("0.333".to_owned(), "0.333".to_owned()));
    assert_eq!(six, ("0.666667".to_owned(), "1.333333".to_owned()));
}
