//! The pickles inside CIFAR-10's python archive: dictionaries of numbers, byte strings, lists and
//! one numpy array. Values are read as data; a class or function in a pickle is only a name here,
//! and nothing is ever called.

use std::collections::BTreeMap;
use std::ops::Range;

/// A value, or where it lies in the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Int(i64),
    /// A string or byte string: its range in the pickle.
    Bytes(Range<usize>),
    /// A list or tuple.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name.
    Global(String),
    /// What a call would make: the callable, its arguments, and the state set later.
    Call {
        callable: Id,
        arguments: Id,
        state: Option<Id>,
    },
}

/// A value's place in [`Pickle::values`]. Two references to one object have one place.
pub(crate) type Id = usize;

/// A pickle as data.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 0 to 4, as far as data need it; errors say what and where.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine =
            Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), memo: BTreeMap::new() };
        let root = machine.run().map_err(|error| format!("pickle, byte {}: {error}", machine.at))?;
        Ok(Self { bytes, values: machine.values, root })
    }

    fn value(&self, id: Id) -> &Value {
        self.values.get(id).unwrap_or(&Value::None)
    }

    /// The entry of the outermost dictionary with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<Id> {
        let Value::Dict(entries) = self.value(self.root) else { return None };
        let found = entries.iter().find(|(name, _)| self.text(*name).as_deref() == Some(key));
        found.map(|&(_, value)| value)
    }

    /// A string, with what is not UTF-8 replaced.
    pub(crate) fn text(&self, id: Id) -> Option<String> {
        match self.value(id) {
            Value::Bytes(range) => Some(String::from_utf8_lossy(self.bytes.get(range.clone())?).into_owned()),
            _ => None,
        }
    }

    /// A list's items.
    pub(crate) fn list(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn int(&self, id: Id) -> Option<i64> {
        match self.value(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A numpy array of bytes, `uint8` in C order: its shape, and where its bytes are in the pickle.
    ///
    /// numpy pickles an array as `_reconstruct(...)` with the state (version, shape, dtype,
    /// is it in Fortran order, bytes), and a dtype as `dtype('u1', ...)`.
    pub(crate) fn byte_array(&self, id: Id) -> Option<(Vec<usize>, Range<usize>)> {
        let Value::Call { callable, state: Some(state), .. } = self.value(id) else { return None };
        let Value::Global(name) = self.value(*callable) else { return None };
        let [_, shape, dtype, fortran, data] = *self.list(*state)? else { return None };
        let Value::Call { arguments: dtype, .. } = self.value(dtype) else { return None };
        let dtype = self.text(*self.list(*dtype)?.first()?)?;
        let dimension = |&id: &Id| usize::try_from(self.int(id)?).ok();
        let shape: Vec<usize> = self.list(shape)?.iter().map(dimension).collect::<Option<_>>()?;
        let Value::Bytes(range) = self.value(data) else { return None };
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n))?;
        let valid = name.ends_with("_reconstruct")
            && matches!(dtype.trim_start_matches('|'), "u1" | "uint8")
            && self.int(fortran) == Some(0)
            && range.len() == count;
        valid.then(|| (shape, range.clone()))
    }
}

/// The stack machine that a pickle is a program for, cut down to what makes data.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    /// `None` is a mark.
    stack: Vec<Option<Id>>,
    memo: BTreeMap<u64, Id>,
}

type Step<T> = Result<T, String>;

impl Machine<'_> {
    fn run(&mut self) -> Step<Id> {
        loop {
            let opcode = self.take(1)?.start;
            match self.bytes[opcode] {
                b'.' => return self.pop(),
                code => self.step(code)?,
            }
        }
    }

    fn step(&mut self, code: u8) -> Step<()> {
        match code {
            0x80 => self.take(1).map(drop),                      // PROTO
            0x95 => self.take(8).map(drop),                      // FRAME
            b'(' => self.mark(),                                 // MARK
            b'0' => self.pop().map(drop),                        // POP
            b'N' => self.push(Value::None),                      // NONE
            0x88 => self.push(Value::Int(1)),                    // NEWTRUE
            0x89 => self.push(Value::Int(0)),                    // NEWFALSE
            b'K' => self.push_int(1),                            // BININT1
            b'M' => self.push_int(2),                            // BININT2
            b'J' => self.push_int(4),                            // BININT
            b'I' | b'L' => self.push_decimal(),                  // INT, LONG
            0x8a => self.push_long(),                            // LONG1
            b'U' | b'C' | 0x8c => self.push_bytes(1), // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
            b'T' | b'B' | b'X' => self.push_bytes(4), // BINSTRING, BINBYTES, BINUNICODE
            0x8e | 0x8d => self.push_bytes(8),        // BINBYTES8, BINUNICODE8
            b']' | b')' => self.push(Value::List(Vec::new())), // EMPTY_LIST, EMPTY_TUPLE
            b'}' => self.push(Value::Dict(Vec::new())), // EMPTY_DICT
            b'l' | b't' => self.list_from_mark(),     // LIST, TUPLE
            0x85..=0x87 => self.tuple(usize::from(code - 0x84)), // TUPLE1 to TUPLE3
            b'a' => self.append(1),                   // APPEND
            b'e' => self.append_from_mark(),          // APPENDS
            b'd' => self.dict_from_mark(),            // DICT
            b's' | b'u' => self.set_items(code == b'u'), // SETITEM, SETITEMS
            b'q' => self.memoise(1),                  // BINPUT
            b'r' => self.memoise(4),                  // LONG_BINPUT
            0x94 => self.memoise(0),                  // MEMOIZE
            b'h' => self.recall(1),                   // BINGET
            b'j' => self.recall(4),                   // LONG_BINGET
            b'c' => self.global(),                    // GLOBAL
            0x93 => self.stack_global(),              // STACK_GLOBAL
            b'R' => self.call(),                      // REDUCE
            b'b' => self.build(),                     // BUILD
            code => Err(format!("opcode {code:#04x} makes something other than data")),
        }
    }

    fn take(&mut self, count: usize) -> Step<Range<usize>> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let range = self.at..end.ok_or("it is truncated")?;
        self.at = range.end;
        Ok(range)
    }

    /// An unsigned number of `width` bytes, least significant first.
    fn number(&mut self, width: usize) -> Step<u64> {
        let range = self.take(width)?;
        Ok(self.bytes[range].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Up to the end of the line.
    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("it is truncated")?;
        let range = self.take(length + 1)?;
        Ok(String::from_utf8_lossy(&self.bytes[range.start..range.end - 1]).into_owned())
    }

    fn new_value(&mut self, value: Value) -> Id {
        self.values.push(value);
        self.values.len() - 1
    }

    fn push(&mut self, value: Value) -> Step<()> {
        let id = self.new_value(value);
        self.stack.push(Some(id));
        Ok(())
    }

    fn mark(&mut self) -> Step<()> {
        self.stack.push(None);
        Ok(())
    }

    fn pop(&mut self) -> Step<Id> {
        self.stack.pop().flatten().ok_or_else(|| "its stack is empty".into())
    }

    fn top(&self) -> Step<Id> {
        self.stack.last().copied().flatten().ok_or_else(|| "its stack is empty".into())
    }

    /// Everything above the last mark.
    fn pop_to_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.stack.iter().rposition(Option::is_none).ok_or("a mark is missing")?;
        let items = self.stack.split_off(mark);
        Ok(items.into_iter().flatten().collect())
    }

    fn push_int(&mut self, width: usize) -> Step<()> {
        let number = self.number(width)?;
        // Only the widest of them is signed.
        self.push(Value::Int(if width == 4 { i64::from(number as u32 as i32) } else { number as i64 }))
    }

    fn push_decimal(&mut self) -> Step<()> {
        let line = self.line()?;
        let number = line.trim_end_matches('L').parse().map_err(|_| format!("`{line}` is no number"))?;
        self.push(Value::Int(number))
    }

    fn push_long(&mut self) -> Step<()> {
        let width = self.number(1)? as usize;
        if width > 8 {
            return Err("a number has more than 64 bits".into());
        }
        let number = self.number(width)?;
        let unused = 64 - 8 * width as u32;
        let signed = if width == 0 { 0 } else { (number << unused) as i64 >> unused };
        self.push(Value::Int(signed))
    }

    fn push_bytes(&mut self, width: usize) -> Step<()> {
        let length = usize::try_from(self.number(width)?).map_err(|_| "it is truncated")?;
        let range = self.take(length)?;
        self.push(Value::Bytes(range))
    }

    fn list_from_mark(&mut self) -> Step<()> {
        let items = self.pop_to_mark()?;
        self.push(Value::List(items))
    }

    fn tuple(&mut self, count: usize) -> Step<()> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Step<Vec<Id>>>()?;
        items.reverse();
        self.push(Value::List(items))
    }

    fn append(&mut self, count: usize) -> Step<()> {
        let items = (0..count).map(|_| self.pop()).collect::<Step<Vec<Id>>>()?;
        self.extend_list(items)
    }

    fn append_from_mark(&mut self) -> Step<()> {
        let items = self.pop_to_mark()?;
        self.extend_list(items)
    }

    fn extend_list(&mut self, more: Vec<Id>) -> Step<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(items) => {
                items.extend(more);
                Ok(())
            }
            _ => Err("something is appended to what is no list".into()),
        }
    }

    fn dict_from_mark(&mut self) -> Step<()> {
        let items = self.pop_to_mark()?;
        self.push(Value::Dict(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))
    }

    fn set_items(&mut self, many: bool) -> Step<()> {
        let items = if many {
            self.pop_to_mark()?
        } else {
            let value = self.pop()?;
            vec![self.pop()?, value]
        };
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(entries) => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err("an item is set of what is no dictionary".into()),
        }
    }

    fn memoise(&mut self, width: usize) -> Step<()> {
        let key = if width == 0 { self.memo.len() as u64 } else { self.number(width)? };
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Step<()> {
        let key = self.number(width)?;
        let id = *self.memo.get(&key).ok_or("it refers to what was not stored")?;
        self.stack.push(Some(id));
        Ok(())
    }

    fn global(&mut self) -> Step<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(Value::Global(format!("{module}.{name}")))
    }

    fn stack_global(&mut self) -> Step<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let text = |id: Id| match &self.values[id] {
            Value::Bytes(range) => Ok(String::from_utf8_lossy(&self.bytes[range.clone()]).into_owned()),
            _ => Err("a name is no string".to_owned()),
        };
        let global = Value::Global(format!("{}.{}", text(module)?, text(name)?));
        self.push(global)
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.push(Value::Call { callable, arguments, state: None })
    }

    fn build(&mut self) -> Step<()> {
        let new_state = self.pop()?;
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Call { state, .. } => {
                *state = Some(new_state);
                Ok(())
            }
            _ => Err("a state is set of what is no object".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_come_out() {
        // {'a': [1, -2, 3], 'b': 'xy'} of protocol 2, with the memo in use.
        let bytes = b"\x80\x02}q\x00(U\x01aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x03\x00eU\x01bU\x02xyu.";
        let pickle = Pickle::parse(bytes).unwrap();
        let list = pickle.list(pickle.entry("a").unwrap()).unwrap();
        assert_eq!(list.iter().map(|&id| pickle.int(id).unwrap()).collect::<Vec<_>>(), [1, -2, 3]);
        assert_eq!(pickle.text(pickle.entry("b").unwrap()).unwrap(), "xy");
        assert_eq!(pickle.entry("c"), None);
    }

    #[test]
    fn nothing_is_called_and_unknown_opcodes_are_refused() {
        // os.system('x'): a value that says so, and no more.
        let pickle = Pickle::parse(b"cos\nsystem\n(U\x01xtR.").unwrap();
        assert!(matches!(pickle.value(pickle.root), Value::Call { .. }));
        assert!(Pickle::parse(b"\x80\x02\x81.").unwrap_err().contains("0x81"));
    }

    #[test]
    fn malformed_pickles_are_errors() {
        for bytes in
            [&b""[..], b".", b"K", b"T\xff\xff\xff\xffx", b"h\x00.", b"e.", b"K\x01a.", b"(.", b"I\n."]
        {
            Pickle::parse(bytes).unwrap_err();
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Pickle::parse(&bytes);
        }
    }
}
