//! What a variable was before it was set.

use std::fmt;
use std::marker::PhantomData;

use super::var::typed;
use crate::kernel::{Context, Identity, Key, Value};

/// The value of a variable before a [`set`](super::ContextVar::set), to [`reset`](super::ContextVar::reset) it.
/// Dropping it drops the former value.
///
/// # asyncio
/// `contextvars.Token`.
pub struct Token<T> {
    key: Key,
    former: Option<Value>,
    context: Identity,
    value: PhantomData<T>,
}

impl<T: 'static> Token<T> {
    pub(super) fn new(key: Key, former: Option<Value>, context: Identity) -> Self {
        Self { key, former, context, value: PhantomData }
    }

    /// The former value; `None` if nothing was set.
    ///
    /// # asyncio
    /// `token.old_value`; `None` stands for `Token.MISSING`.
    #[must_use]
    pub fn old_value(&self) -> Option<&T> {
        self.former.as_ref().and_then(typed)
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn is_of(&self, context: &Context) -> bool {
        context.is(&self.context)
    }

    pub(super) fn into_former(self) -> Option<Value> {
        self.former
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("old_value", &self.old_value()).finish_non_exhaustive()
    }
}
