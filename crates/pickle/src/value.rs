//! The values that a pickle builds.

use residual_files::Budget;

use crate::error::Error;

/// Places that a growing vector takes for each of its elements: while it grows, the old memory and the doubled
/// new one are held at once.
const GROWTH: u64 = 3;

/// Bytes of an allocation beside its content.
const ALLOCATION: u64 = 32;

/// A value's place in its [`Heap`].
pub type Id = usize;

/// A value of a pickle. Parts are referred to by [`Id`], so that a chain of a million nested tuples neither
/// recurses when it is dropped nor is copied when it is shared; text and bytes lie in the pickle.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// An integer beyond 64 bits, little-endian two's complement.
    Long(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// A byte string, and a text of Python 2 that is not UTF-8.
    Bytes(&'a [u8]),
    /// A float, a set: nothing that describes a tensor or a data set.
    Other(&'static str),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// Entries in the order of their insertion; of equal keys the last one holds.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name alone.
    Global {
        /// The module, a text.
        module: Id,
        /// The name inside it, a text.
        name: Id,
    },
    /// A reference to something outside the pickle.
    Persistent(Id),
    /// A call that was recorded instead of made.
    Call {
        /// The function, or the class of an object.
        function: Id,
        /// Arguments, a tuple where the pickle is sound.
        arguments: Id,
        /// The state that the object was given afterwards (`__setstate__`).
        state: Option<Id>,
    },
}

/// A recorded call: the function's module and name, and the arguments.
pub type Call<'h> = ((&'h str, &'h str), &'h [Id]);

/// Heap of the values of one pickle.
#[derive(Debug, Default)]
pub struct Heap<'a> {
    values: Vec<Value<'a>>,
}

impl<'a> Heap<'a> {
    pub(crate) fn add(&mut self, value: Value<'a>, budget: &mut Budget) -> Result<Id, Error> {
        charge(budget, 1, size_of::<Value<'_>>())?;
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    /// The value at `id`.
    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> &mut Value<'a> {
        &mut self.values[id]
    }

    /// Values in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Value<'a>> {
        self.values.iter()
    }

    /// A text.
    pub fn text(&self, id: Id) -> Option<&'a str> {
        match *self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a byte string or of a text: Python 2 does not tell them apart.
    pub fn bytes(&self, id: Id) -> Option<&'a [u8]> {
        match *self.get(id) {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An integer of up to 64 bits.
    pub fn int(&self, id: Id) -> Option<i64> {
        match *self.get(id) {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The parts of a tuple or a list.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(parts) | Value::List(parts) => Some(parts),
            _ => None,
        }
    }

    /// The entries of a dict.
    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Module and name of a global.
    pub fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match *self.get(id) {
            Value::Global { module, name } => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }

    /// Function and arguments of a recorded call.
    pub fn call(&self, id: Id) -> Option<Call<'_>> {
        match *self.get(id) {
            Value::Call { function, arguments, .. } => {
                Some((self.global(function)?, self.sequence(arguments)?))
            }
            _ => None,
        }
    }

    /// State of the object that a recorded call makes.
    pub fn state(&self, id: Id) -> Option<Id> {
        match *self.get(id) {
            Value::Call { state, .. } => state,
            _ => None,
        }
    }
}

/// Charges `count` elements of `size` bytes each, which a vector is about to take.
pub(crate) fn charge(budget: &mut Budget, count: usize, size: usize) -> Result<(), Error> {
    let bytes = (count as u64).saturating_mul(size as u64).saturating_mul(GROWTH);
    budget.charge(bytes).map_err(Error::TooLarge)
}

/// Charges a vector of its own for `count` elements of `size` bytes each.
pub(crate) fn charge_vector(budget: &mut Budget, count: usize, size: usize) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    budget.charge(ALLOCATION).map_err(Error::TooLarge)?;
    charge(budget, count, size)
}
