//! The pickle machine: a stack and a memo, and nothing that could run code.

use std::collections::HashMap;

use super::opcode as op;
use super::value::{Heap, Id, MAX_VALUES, Value};
use crate::error::Error;

/// What a pickle stands for.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) heap: Heap,
    pub(super) root: Id,
    /// Bytes up to and including the STOP.
    pub(super) length: usize,
}

/// Interprets the pickle at the beginning of `bytes`, up to its STOP.
///
/// Time and memory are linear in the length of the pickle, and memory is bounded by [`MAX_VALUES`].
pub(super) fn interpret(bytes: &[u8]) -> Result<Pickled, Error> {
    let mut machine = Machine {
        bytes,
        at: 0,
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let opcode = machine.byte()?;
        if opcode == op::STOP {
            let root = machine.pop()?;
            return Ok(Pickled { heap: machine.heap, root, length: machine.at });
        }
        machine.step(opcode)?;
        if machine.stack.len().max(machine.memo.len()).max(machine.marks.len()) > MAX_VALUES {
            return Err(Error::TooLarge { what: "the depth of the pickle", limit: MAX_VALUES });
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    heap: Heap,
    stack: Vec<Id>,
    /// Heights of the stack where a MARK lies.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.take(8).map(drop),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => self.pop().map(drop),
            op::POP_MARK => self.pop_to_mark().map(drop),
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            op::NONE | op::NEWTRUE | op::NEWFALSE | op::BINFLOAT => self.push_scalar(opcode),
            op::BININT | op::BININT1 | op::BININT2 | op::LONG1 | op::LONG4 => self.push_integer(opcode),
            op::BINSTRING | op::SHORT_BINSTRING | op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 => {
                self.push_text(opcode)
            }
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => self.push_bytes(opcode),
            op::EMPTY_LIST | op::EMPTY_TUPLE | op::EMPTY_DICT | op::EMPTY_SET => self.push_empty(opcode),
            op::LIST | op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 | op::DICT | op::FROZENSET => {
                self.collect(opcode)
            }
            op::APPEND | op::APPENDS | op::SETITEM | op::SETITEMS | op::ADDITEMS => self.extend(opcode),
            op::BINGET | op::LONG_BINGET => self.recall(opcode),
            op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(opcode),
            op::GLOBAL | op::STACK_GLOBAL => self.push_global(opcode),
            op::REDUCE | op::NEWOBJ | op::NEWOBJ_EX => self.record_call(opcode),
            // The state of an object; of an OrderedDict it is PyTorch's `_metadata`.
            op::BUILD => self.pop().map(drop),
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))
            }
            _ => Err(self.fault(format!("opcode 0x{opcode:02x} is not one that torch.save writes"))),
        }
    }

    fn protocol(&mut self) -> Result<(), Error> {
        match self.byte()? {
            0..=5 => Ok(()),
            version => Err(self.fault(format!("protocol {version} is not known; the newest is 5"))),
        }
    }

    fn push_scalar(&mut self, opcode: u8) -> Result<(), Error> {
        let value = match opcode {
            op::NONE => Value::None,
            op::BINFLOAT => {
                self.take(8)?;
                Value::Other("a number")
            }
            _ => Value::Bool(opcode == op::NEWTRUE),
        };
        self.push(value)
    }

    fn push_integer(&mut self, opcode: u8) -> Result<(), Error> {
        let value = match opcode {
            op::BININT => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            op::BININT1 => Value::Int(i64::from(self.byte()?)),
            op::BININT2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            _ => {
                let length = if opcode == op::LONG1 { self.length(1)? } else { self.length(4)? };
                long(self.take(length)?)
            }
        };
        self.push(value)
    }

    fn push_text(&mut self, opcode: u8) -> Result<(), Error> {
        let length = match opcode {
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => self.length(1)?,
            op::BINUNICODE8 => self.length(8)?,
            _ => self.length(4)?,
        };
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Value::Text(text))
    }

    fn push_bytes(&mut self, opcode: u8) -> Result<(), Error> {
        let length = match opcode {
            op::SHORT_BINBYTES => self.length(1)?,
            op::BINBYTES => self.length(4)?,
            _ => self.length(8)?,
        };
        self.take(length)?;
        self.push(Value::Other("bytes"))
    }

    fn push_empty(&mut self, opcode: u8) -> Result<(), Error> {
        self.push(match opcode {
            op::EMPTY_LIST => Value::List(Vec::new()),
            op::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            _ => Value::Other("a set"),
        })
    }

    /// Makes one value of the topmost ones.
    fn collect(&mut self, opcode: u8) -> Result<(), Error> {
        let value = match opcode {
            op::TUPLE1 => Value::Tuple(self.pop_many(1)?),
            op::TUPLE2 => Value::Tuple(self.pop_many(2)?),
            op::TUPLE3 => Value::Tuple(self.pop_many(3)?),
            op::TUPLE => Value::Tuple(self.pop_to_mark()?),
            op::LIST => Value::List(self.pop_to_mark()?),
            op::DICT => {
                let items = self.pop_to_mark()?;
                Value::Dict(self.pairs(&items)?)
            }
            _ => {
                self.pop_to_mark()?;
                Value::Other("a set")
            }
        };
        self.push(value)
    }

    /// Moves the topmost values into the container below them.
    fn extend(&mut self, opcode: u8) -> Result<(), Error> {
        let items = match opcode {
            op::APPEND => self.pop_many(1)?,
            op::SETITEM => self.pop_many(2)?,
            _ => self.pop_to_mark()?,
        };
        let container = self.top()?;
        let is_dict = matches!(opcode, op::SETITEM | op::SETITEMS);
        let pairs = if is_dict { self.pairs(&items)? } else { Vec::new() };
        match self.heap.get_mut(container) {
            Value::List(list) if !is_dict => list.extend(items),
            Value::Dict(dict) if is_dict => dict.extend(pairs),
            // The items of an object that is not known.
            Value::Call { .. } | Value::Other(_) => {}
            _ => return Err(self.fault("items for something that is not a container".to_owned())),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, Error> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.fault("a dict whose last key has no value".to_owned()));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), Error> {
        let key = if opcode == op::BINGET { self.length(1)? } else { self.length(4)? };
        match self.memo.get(&key) {
            Some(&id) => self.stack.push(id),
            None => return Err(self.fault(format!("memo entry {key} was never written"))),
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<(), Error> {
        let key = match opcode {
            op::BINPUT => self.length(1)?,
            op::LONG_BINPUT => self.length(4)?,
            _ => self.memo.len(),
        };
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn push_global(&mut self, opcode: u8) -> Result<(), Error> {
        let (module, name) = if opcode == op::GLOBAL {
            let (module, name) = (self.line()?, self.line()?);
            (self.heap.add(Value::Text(module))?, self.heap.add(Value::Text(name))?)
        } else {
            let parts = self.pop_many(2)?;
            (parts[0], parts[1])
        };
        if self.heap.text(module).is_none() || self.heap.text(name).is_none() {
            return Err(self.fault("the name of a global is not text".to_owned()));
        }
        self.push(Value::Global { module, name })
    }

    /// Records a call. Only the dicts of the standard library become what the call would have made.
    fn record_call(&mut self, opcode: u8) -> Result<(), Error> {
        let count = if opcode == op::NEWOBJ_EX { 3 } else { 2 };
        let parts = self.pop_many(count)?;
        let (function, arguments) = (parts[0], parts[1]);
        let value = match self.heap.global(function) {
            Some(("collections", "OrderedDict" | "defaultdict")) => Value::Dict(self.entries_of(arguments)?),
            _ => Value::Call { function, arguments },
        };
        self.push(value)
    }

    /// The entries that `OrderedDict(arguments)` begins with: Python 2 passes a list of pairs, Python 3 none.
    fn entries_of(&mut self, arguments: Id) -> Result<Vec<(Id, Id)>, Error> {
        let list = self.heap.sequence(arguments).and_then(|arguments| arguments.first());
        let Some(items) = list.and_then(|&list| self.heap.sequence(list)) else {
            return Ok(Vec::new());
        };
        let pair = |&item: &Id| match self.heap.sequence(item) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        let Some(entries) = items.iter().map(pair).collect::<Option<Vec<_>>>() else {
            return Err(self.fault("an OrderedDict of something else than pairs".to_owned()));
        };
        // One list may be passed to many calls, so these copies count.
        self.heap.charge(entries.len())?;
        Ok(entries)
    }

    fn push(&mut self, value: Value) -> Result<(), Error> {
        let id = self.heap.add(value)?;
        self.stack.push(id);
        Ok(())
    }

    /// The height that nothing may be popped beneath.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, Error> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(self.fault("the stack is empty".to_owned())),
        }
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Error> {
        if self.stack.len() < self.floor() + count {
            return Err(self.fault("the stack is empty".to_owned()));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Error> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(self.fault("there is no mark".to_owned())),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let taken = self.bytes[self.at..].get(..count);
        let taken = taken.ok_or_else(|| Error::Truncated { within: "the pickle".to_owned() })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// An unsigned number of `width` bytes.
    fn length(&mut self, width: usize) -> Result<usize, Error> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        let length = u64::from_le_bytes(bytes);
        usize::try_from(length).map_err(|_| self.fault(format!("a length of {length}")))
    }

    fn line(&mut self) -> Result<String, Error> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.unwrap_or(rest.len()))?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn fault(&self, reason: String) -> Error {
        Error::Pickle { at: self.at.saturating_sub(1), reason }
    }
}

/// An integer of any length, little-endian two's complement.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes.to_vec());
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}
