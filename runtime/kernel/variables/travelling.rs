//! The part of a context that may go to another thread.

use std::sync::Arc;

use super::{Binding, Context, Held, Map, Value, Variable};

/// The values of a context that any thread may see.
pub(crate) struct Travelling(Vec<(Variable, Arc<dyn Held + Send + Sync>)>);

impl Travelling {
    pub(super) fn of(bindings: &[Binding]) -> Option<Self> {
        let shared: Vec<_> = bindings
            .iter()
            .filter_map(|binding| match &binding.value {
                Value::Shared(value) => Some((binding.variable, value.clone())),
                Value::Local(_) => None,
            })
            .collect();
        (!shared.is_empty()).then_some(Self(shared))
    }

    /// The context that they are where they have arrived.
    pub(crate) fn arrive(self) -> Context {
        let bindings = self.0.into_iter();
        let map: Map =
            bindings.map(|(variable, value)| Binding { variable, value: Value::Shared(value) }).collect();
        Context::of(map.into())
    }
}
