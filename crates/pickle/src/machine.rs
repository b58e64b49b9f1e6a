//! The pickle machine: a stack and a memo, and nothing that could run code.

use std::collections::HashMap;
use std::ops::Range;

use residual_files::Budget;

use crate::error::Error;
use crate::opcode as op;
use crate::value::{Heap, Id, Value, charge, charge_vector};

/// Bytes of memory that one pickle may take beside its own: about a million values. A ResNet-152 with its optimiser
/// needs 60,000, a batch of CIFAR-10 30,000.
const MEMORY: u64 = 224 << 20;

/// Bytes of an entry of the memo: a hash table of pairs that is at least 7/16 full, and the table that it grew from.
const MEMO_ENTRY: usize = size_of::<(usize, Id)>() + size_of::<Id>() / 2;

/// The budget of one pickle, 224 MiB.
pub fn budget() -> Budget {
    Budget::new(MEMORY)
}

/// Value that a pickle stands for.
#[derive(Debug)]
pub struct Pickled<'a> {
    /// Heap of all its values.
    pub heap: Heap<'a>,
    /// The value that the pickle is of.
    pub root: Id,
    /// Bytes up to and including the STOP.
    pub length: usize,
    bytes: &'a [u8],
}

impl Pickled<'_> {
    /// The entry of the outermost dict with this key.
    pub fn entry(&self, key: &str) -> Option<Id> {
        let is_named = |&&(name, _): &&(Id, Id)| self.heap.bytes(name) == Some(key.as_bytes());
        self.heap.dict(self.root)?.iter().rev().find(is_named).map(|&(_, value)| value)
    }

    /// Place in the pickle of a text or byte string.
    pub fn place(&self, id: Id) -> Option<Range<usize>> {
        let part = self.heap.bytes(id)?;
        let start = part.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr())?;
        (start + part.len() <= self.bytes.len()).then(|| start..start + part.len())
    }
}

/// Interprets the pickle at the beginning of `bytes`, up to its STOP. Protocols 0 to 5, as far as PyTorch and numpy
/// use them.
///
/// Time and memory are linear in the length of the pickle, and memory is charged to `budget` as values are made.
///
/// # Errors
/// Any cause of [`Error`].
pub fn interpret<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Pickled<'a>, Error> {
    let mut machine = Machine {
        bytes,
        at: 0,
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        budget,
    };
    loop {
        let opcode = machine.byte()?;
        if opcode == op::STOP {
            let root = machine.pop()?;
            return Ok(Pickled { heap: machine.heap, root, length: machine.at, bytes });
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    heap: Heap<'a>,
    stack: Vec<Id>,
    /// Heights of the stack where a MARK lies.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    budget: &'b mut Budget,
}

impl<'a> Machine<'a, '_> {
    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.take(8).map(drop),
            op::MARK => {
                charge(self.budget, 1, size_of::<usize>())?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => self.pop().map(drop),
            op::POP_MARK => self.pop_to_mark().map(drop),
            op::DUP => {
                let top = self.top()?;
                self.push_id(top)
            }
            op::NONE | op::NEWTRUE | op::NEWFALSE | op::BINFLOAT => self.push_scalar(opcode),
            op::BININT | op::BININT1 | op::BININT2 | op::LONG1 | op::LONG4 => self.push_integer(opcode),
            op::INT | op::LONG => self.push_decimal(),
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
            op::BUILD => self.build(),
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))
            }
            _ => Err(self.fault(format!("opcode 0x{opcode:02x} makes something other than data"))),
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

    /// Decimal digits up to the end of the line, as protocol 0 writes integers.
    fn push_decimal(&mut self) -> Result<(), Error> {
        let line = String::from_utf8_lossy(self.line()?);
        match line.trim_end_matches('L').parse() {
            Ok(int) => self.push(Value::Int(int)),
            Err(_) => Err(self.fault("a decimal number that is none".to_owned())),
        }
    }

    fn push_text(&mut self, opcode: u8) -> Result<(), Error> {
        let length = match opcode {
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => self.length(1)?,
            op::BINUNICODE8 => self.length(8)?,
            _ => self.length(4)?,
        };
        let text = text_or_bytes(self.take(length)?);
        self.push(text)
    }

    fn push_bytes(&mut self, opcode: u8) -> Result<(), Error> {
        let length = match opcode {
            op::SHORT_BINBYTES => self.length(1)?,
            op::BINBYTES => self.length(4)?,
            _ => self.length(8)?,
        };
        let bytes = self.take(length)?;
        self.push(Value::Bytes(bytes))
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
        charge_vector(self.budget, items.len(), size_of::<Id>())?;
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

    fn pairs(&mut self, items: &[Id]) -> Result<Vec<(Id, Id)>, Error> {
        let (pairs, rest) = items.as_chunks::<2>();
        // They may be copied once more, into the dict that they extend.
        charge_vector(self.budget, 2 * pairs.len(), size_of::<(Id, Id)>())?;
        if !rest.is_empty() {
            return Err(self.fault("a dict whose last key has no value".to_owned()));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), Error> {
        let key = if opcode == op::BINGET { self.length(1)? } else { self.length(4)? };
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => Err(self.fault(format!("memo entry {key} was never written"))),
        }
    }

    fn remember(&mut self, opcode: u8) -> Result<(), Error> {
        let key = match opcode {
            op::BINPUT => self.length(1)?,
            op::LONG_BINPUT => self.length(4)?,
            _ => self.memo.len(),
        };
        let top = self.top()?;
        charge(self.budget, 1, 2 * MEMO_ENTRY)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn push_global(&mut self, opcode: u8) -> Result<(), Error> {
        let (module, name) = if opcode == op::GLOBAL {
            let (module, name) = (self.line()?, self.line()?);
            let mut add = |text| self.heap.add(text_or_bytes(text), self.budget);
            (add(module)?, add(name)?)
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
            _ => Value::Call { function, arguments, state: None },
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
        // One list may be passed to many calls, so these copies count.
        charge_vector(self.budget, items.len(), size_of::<(Id, Id)>())?;
        match items.iter().map(pair).collect::<Option<Vec<_>>>() {
            Some(entries) => Ok(entries),
            None => Err(self.fault("an OrderedDict of something else than pairs".to_owned())),
        }
    }

    /// Gives an object its state. That of an OrderedDict is PyTorch's `_metadata`, which describes no tensor.
    fn build(&mut self) -> Result<(), Error> {
        let new_state = self.pop()?;
        let object = self.top()?;
        if let Value::Call { state, .. } = self.heap.get_mut(object) {
            *state = Some(new_state);
        }
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Error> {
        let id = self.heap.add(value, self.budget)?;
        self.push_id(id)
    }

    /// Pushes a value that there is. Charged twice: what is popped together goes into a vector of its own.
    fn push_id(&mut self, id: Id) -> Result<(), Error> {
        charge(self.budget, 2, size_of::<Id>())?;
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
        charge_vector(self.budget, count, size_of::<Id>())?;
        if self.stack.len() < self.floor() + count {
            return Err(self.fault("the stack is empty".to_owned()));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Error> {
        match self.marks.pop() {
            Some(height) => {
                charge_vector(self.budget, self.stack.len() - height, size_of::<Id>())?;
                Ok(self.stack.split_off(height))
            }
            None => Err(self.fault("there is no mark".to_owned())),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let taken = self.bytes[self.at..].get(..count);
        let taken = taken.ok_or(Error::Truncated)?;
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

    /// Up to the end of the line.
    fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.unwrap_or(rest.len()))?;
        self.take(1)?;
        Ok(line)
    }

    fn fault(&self, reason: String) -> Error {
        Error::Broken { at: self.at.saturating_sub(1), reason }
    }
}

/// An integer of any length, little-endian two's complement.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

/// A text, or bytes where it is not UTF-8.
fn text_or_bytes(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickled<'_>, Error> {
        interpret(bytes, &mut budget())
    }

    #[test]
    fn plain_values_come_out() {
        // {'a': [1, -2, 3, 5], 'b': 'xy'} of protocol 2, with the memo in use and an integer of protocol 0.
        let bytes =
            b"\x80\x02}q\x00(U\x01aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x03\x00I5\neU\x01bU\x02xyu.rest";
        let pickled = read(bytes).unwrap();
        let heap = &pickled.heap;
        let list = heap.sequence(pickled.entry("a").unwrap()).unwrap();
        assert_eq!(list.iter().map(|&id| heap.int(id).unwrap()).collect::<Vec<_>>(), [1, -2, 3, 5]);
        let b = pickled.entry("b").unwrap();
        assert_eq!((heap.text(b), heap.bytes(b)), (Some("xy"), Some(&b"xy"[..])));
        assert_eq!(&bytes[pickled.place(b).unwrap()], b"xy");
        assert_eq!((pickled.entry("c"), pickled.length), (None, bytes.len() - 4));
    }

    #[test]
    fn of_equal_keys_the_last_one_holds() {
        let pickled = read(b"\x80\x02}(U\x01aK\x01U\x01aK\x02u.").unwrap();
        assert_eq!(pickled.heap.int(pickled.entry("a").unwrap()), Some(2));
    }

    #[test]
    fn nothing_is_called_and_unknown_opcodes_are_refused() {
        // os.system('x') with the state 7: a value that says so, and no more.
        let pickled = read(b"cos\nsystem\n(U\x01xtRK\x07b.").unwrap();
        let (function, arguments) = pickled.heap.call(pickled.root).unwrap();
        assert_eq!((function, arguments.len()), (("os", "system"), 1));
        assert_eq!(pickled.heap.int(pickled.heap.state(pickled.root).unwrap()), Some(7));
        assert!(read(b"\x80\x02i.").unwrap_err().to_string().contains("0x69"));
    }

    #[test]
    fn malformed_pickles_are_errors() {
        for bytes in
            [&b""[..], b".", b"K", b"T\xff\xff\xff\xffx", b"h\x00.", b"e.", b"K\x01a.", b"(.", b"I\n.", b"I9"]
        {
            read(bytes).unwrap_err();
        }
    }

    #[test]
    fn whatever_is_made_is_charged() {
        // Values, marks, references, memo entries, tuples, pairs, text: none of them is free.
        let opcodes: [&[u8]; 10] = [
            b"N",
            b"(",
            b")",
            b"K\x01\x85",
            b"h\x01",
            b"2",
            b"q\x02",
            b"}",
            b"U\x00",
            b"K\x01G\0\0\0\0\0\0\0\0\x86",
        ];
        for opcode in opcodes {
            let bytes = [b"\x80\x02Nq\x01".as_slice(), &opcode.repeat(30_000), b"."].concat();
            let error = interpret(&bytes, &mut Budget::new(1 << 19)).unwrap_err();
            assert!(matches!(error, Error::TooLarge(_)), "{opcode:?}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&bytes);
        }
    }
}
