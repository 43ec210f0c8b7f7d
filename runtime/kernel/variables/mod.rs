//! Context variables as data: what a context is, how it is copied, and what of it may travel.
//!
//! A [`Context`] is a handle of a cell that holds a map, and the map is shared until somebody writes: a copy
//! takes one small allocation, whatever the number of variables. Values are counted, so neither a copy nor a
//! write clones one of them. Who is in which context is the business of the layers above.
//!
//! Values are foreign code where they are dropped: what is taken out of a map is handed to the caller, who
//! drops it when nothing is borrowed.

mod travelling;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub(crate) use travelling::Travelling;

/// Names a variable; 0 is no variable's.
pub(crate) type Key = u64;

/// A value with what is known of its type.
pub(crate) trait Held {
    /// The value itself.
    fn as_any(&self) -> &dyn Any;

    /// Enters the value, if it wants that; what comes back is dropped on the way out.
    fn enter(&self) -> Option<Box<dyn Any>>;
}

/// A counted value: of a variable whose values may be seen by any thread, or of one whose values stay on
/// their own.
#[derive(Clone)]
pub(crate) enum Value {
    Shared(Arc<dyn Held + Send + Sync>),
    Local(Rc<dyn Held>),
}

impl Value {
    pub(crate) fn held(&self) -> &dyn Held {
        match self {
            Self::Shared(value) => &**value,
            Self::Local(value) => &**value,
        }
    }
}

/// What a map needs to know of a variable.
#[derive(Clone, Copy)]
pub(crate) struct Variable {
    pub(crate) key: Key,
    pub(crate) name: &'static str,
    /// Tasks get it from whoever creates them.
    pub(crate) inherited: bool,
    /// Its values want to be entered.
    pub(crate) entered: bool,
}

#[derive(Clone)]
struct Binding {
    variable: Variable,
    value: Value,
}

/// Variables with values, in the order in which they were first set. There are few.
#[derive(Clone, Default)]
struct Map {
    bindings: Vec<Binding>,
    /// How many of them are not inherited, and how many want to be entered.
    private: usize,
    entered: usize,
}

impl Map {
    fn position(&self, key: Key) -> Option<usize> {
        self.bindings.iter().position(|binding| binding.variable.key == key)
    }

    fn count(&mut self, variable: Variable) {
        self.private += usize::from(!variable.inherited);
        self.entered += usize::from(variable.entered);
    }

    fn push(&mut self, binding: Binding) {
        self.count(binding.variable);
        self.bindings.push(binding);
    }

    fn remove(&mut self, position: usize) -> Value {
        let Binding { variable, value } = self.bindings.remove(position);
        self.private -= usize::from(!variable.inherited);
        self.entered -= usize::from(variable.entered);
        value
    }
}

impl FromIterator<Binding> for Map {
    fn from_iter<I: IntoIterator<Item = Binding>>(bindings: I) -> Self {
        let mut map = Self::default();
        bindings.into_iter().for_each(|binding| map.push(binding));
        map
    }
}

/// The context variables that a piece of code sees, and their values.
///
/// Every task has a context of its own: at its birth it gets a copy of its creator's, and what it sets is seen
/// by itself and by those that it creates later. A callback gets a copy from whoever schedules it. To clone a
/// `Context` is to have one more handle of the same; [`copy`](Self::copy) makes another.
///
/// # asyncio
/// `contextvars.Context`.
///
/// # Examples
/// ```
/// use evloop::{ContextVar, context::Context};
///
/// static USER: ContextVar<&str> = ContextVar::new("user");
///
/// let context = Context::new();
/// context.run(|| USER.set("ann"));
/// assert_eq!(USER.get(), None, "set in there");
/// assert_eq!(context.run(|| USER.get()), Some("ann"), "and it stays");
/// ```
#[derive(Clone)]
pub struct Context {
    cell: Rc<ContextCell>,
}

struct ContextCell {
    map: RefCell<Rc<Map>>,
    /// A [`run`](Context::run) is inside of it.
    running: Cell<bool>,
}

/// Knows a context again, and does not keep it.
pub(crate) struct Identity(Weak<ContextCell>);

impl Context {
    /// One in which nothing is set.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Rc::default())
    }

    fn of(map: Rc<Map>) -> Self {
        Self { cell: Rc::new(ContextCell { map: RefCell::new(map), running: Cell::new(false) }) }
    }

    /// Another context with the same values. It takes the same time for any number of them.
    ///
    /// # asyncio
    /// `context.copy()`.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::of(self.cell.map.borrow().clone())
    }

    /// What a task that is created in here begins with; `None` if that is nothing.
    pub(crate) fn copy_for_child(&self) -> Option<Self> {
        let map = self.cell.map.borrow().clone();
        if map.private == 0 {
            return (!map.bindings.is_empty()).then(|| Self::of(map));
        }
        let inherited: Map =
            map.bindings.iter().filter(|binding| binding.variable.inherited).cloned().collect();
        (!inherited.bindings.is_empty()).then(|| Self::of(Rc::new(inherited)))
    }

    /// How many variables have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cell.map.borrow().bindings.len()
    }

    /// Whether no variable has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the variables that have a value, in the order in which they were first set.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.cell.map.borrow().bindings.iter().map(|binding| binding.variable.name).collect()
    }

    /// Whether both are handles of one context.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.cell, &other.cell)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity(Rc::downgrade(&self.cell))
    }

    pub(crate) fn is(&self, identity: &Identity) -> bool {
        std::ptr::eq(Rc::as_ptr(&self.cell), identity.0.as_ptr())
    }

    /// A variable's value.
    pub(crate) fn value(&self, key: Key) -> Option<Value> {
        let map = self.cell.map.borrow();
        map.position(key).map(|position| map.bindings[position].value.clone())
    }

    /// Gives a variable another value, or none; returns the former one, for the caller to drop.
    pub(crate) fn replace(&self, variable: Variable, value: Option<Value>) -> Option<Value> {
        let mut shared = self.cell.map.borrow_mut();
        let position = shared.position(variable.key);
        if position.is_none() && value.is_none() {
            return None;
        }
        let map = Rc::make_mut(&mut shared);
        match (position, value) {
            (Some(position), Some(value)) => Some(mem::replace(&mut map.bindings[position].value, value)),
            (Some(position), None) => Some(map.remove(position)),
            (None, Some(value)) => {
                map.push(Binding { variable, value });
                None
            }
            (None, None) => None,
        }
    }

    /// Whether some of its values want to be entered.
    pub(crate) fn wants_to_be_entered(&self) -> bool {
        self.cell.map.borrow().entered > 0
    }

    /// Enters the values that want it, in the order in which their variables were first set.
    pub(crate) fn enter_values(&self) -> EnteredValues {
        let mut entered = EnteredValues(Vec::new());
        if !self.wants_to_be_entered() {
            return entered;
        }
        let map = self.cell.map.borrow().clone();
        let wanting = map.bindings.iter().filter(|binding| binding.variable.entered);
        // Pushed one by one: if the next one panics, those before are left again.
        wanting.for_each(|binding| entered.0.extend(binding.value.held().enter()));
        entered
    }

    /// Whether a `run` is inside of it from here on; returns whether one was.
    pub(crate) fn set_running(&self, running: bool) -> bool {
        self.cell.running.replace(running)
    }

    /// What of it may travel to another thread; `None` if that is nothing.
    pub(crate) fn travelling(&self) -> Option<Travelling> {
        let map = self.cell.map.borrow();
        Travelling::of(&map.bindings)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.names()).finish()
    }
}

/// Values that were entered, and are left in reverse order.
pub(crate) struct EnteredValues(Vec<Box<dyn Any>>);

impl Drop for EnteredValues {
    fn drop(&mut self) {
        while let Some(guard) = self.0.pop() {
            drop(guard);
        }
    }
}

/// Which context code is in that does not simply run in its task's.
pub(crate) enum Inside {
    /// The task's, if one's step runs, else the thread's.
    Nothing,
    /// A callback's, in which nothing has been set: it is made when something is.
    Callback,
    Context(Context),
}
