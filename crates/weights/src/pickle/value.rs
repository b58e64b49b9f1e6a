//! The values that a pickle builds.

use crate::error::Error;

/// The most values, stack slots or memo entries of one pickle. A ResNet-152 with its optimiser needs 60,000.
pub(super) const MAX_VALUES: usize = 1 << 22;

/// A value's place in its [`Heap`].
pub(super) type Id = usize;

/// A value of a pickle. Parts are referred to by [`Id`], so that a chain of a million nested tuples neither
/// recurses when it is dropped nor is copied when it is shared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, little-endian two's complement.
    Long(Vec<u8>),
    Text(String),
    /// A float, bytes, a set: nothing that describes a tensor.
    Other(&'static str),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Entries in the order of their insertion; of equal keys the last one holds.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name alone.
    Global {
        module: Id,
        name: Id,
    },
    /// What the pickle refers to outside itself.
    Persistent(Id),
    /// A call that was recorded instead of made.
    Call {
        function: Id,
        arguments: Id,
    },
}

/// All values of one pickle.
#[derive(Debug, Default)]
pub(super) struct Heap {
    values: Vec<Value>,
    /// Values and entries made so far, held under [`MAX_VALUES`].
    made: usize,
}

impl Heap {
    pub(super) fn add(&mut self, value: Value) -> Result<Id, Error> {
        self.charge(1)?;
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    /// Counts `amount` values that are about to be made.
    pub(super) fn charge(&mut self, amount: usize) -> Result<(), Error> {
        self.made = self.made.saturating_add(amount);
        if self.made > MAX_VALUES {
            return Err(Error::TooLarge { what: "the number of values in the pickle", limit: MAX_VALUES });
        }
        Ok(())
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Value {
        &mut self.values[id]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The parts of a tuple or a list.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(parts) | Value::List(parts) => Some(parts),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Module and name of a global.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match *self.get(id) {
            Value::Global { module, name } => Some((self.text(module)?, self.text(name)?)),
            _ => None,
        }
    }

    /// Function and arguments of a recorded call.
    pub(super) fn call(&self, id: Id) -> Option<((&str, &str), &[Id])> {
        match *self.get(id) {
            Value::Call { function, arguments } => Some((self.global(function)?, self.sequence(arguments)?)),
            _ => None,
        }
    }
}
