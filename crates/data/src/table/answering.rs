//! Answers that are more than one class, of the columns of a table.

use parquet::basic::Type as Physical;
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};

use super::column::Column;
use super::open::{Raw, Reader};
use super::read::{read, read_lists};
use crate::answers::{Given, answer};
use crate::{Error, OpenOptions};

/// Columns of answers that are read.
pub(super) struct Answering<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Names of the columns.
    pub(super) columns: &'a [String],
    pub(super) options: &'a OpenOptions,
}

/// Field of a row in a column, or the reason why it says nothing.
type Field = Result<Given<'static>, String>;

impl Answering<'_> {
    /// Text of the answer of each row, or why there is none. `names` are those of a single column of numbers.
    ///
    /// # Errors
    /// [`Error::Sample`] for pages that are damaged.
    pub(super) fn rows(
        &self,
        columns: &[Column],
        names: Option<&[String]>,
    ) -> Result<Vec<Result<String, String>>, Error> {
        let mut texts = columns.iter().map(|column| Ok(self.texts(column, names)?.into_iter()));
        let mut texts = texts.by_ref().collect::<Result<Vec<_>, Error>>()?;
        let mut rows = Vec::new();
        loop {
            let row: Option<Vec<Field>> = texts.iter_mut().map(Iterator::next).collect();
            let Some(row) = row else { return Ok(rows) };
            rows.push(self.row(row));
        }
    }

    fn row(&self, row: Vec<Field>) -> Result<String, String> {
        answer(self.options.task, self.columns, &row.into_iter().collect::<Result<Vec<_>, String>>()?)
    }

    fn texts(&self, column: &Column, names: Option<&[String]>) -> Result<Vec<Field>, Error> {
        let whole = |value: i64| Raw::Number(value).text(names);
        match column.descriptor.physical_type() {
            Physical::INT32 => self.of::<Int32Type>(column, |value| whole(i64::from(*value))),
            Physical::INT64 => self.of::<Int64Type>(column, |value| whole(*value)),
            Physical::BOOLEAN => self.of::<BoolType>(column, |value| whole(i64::from(*value))),
            Physical::FLOAT => self.of::<FloatType>(column, |value| Ok(value.to_string())),
            Physical::DOUBLE => self.of::<DoubleType>(column, |value| Ok(value.to_string())),
            _ => self.of::<ByteArrayType>(column, |value| match std::str::from_utf8(value.data()) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err("a label that is no text".to_owned()),
            }),
        }
    }

    fn of<T: DataType>(
        &self,
        column: &Column,
        text: impl Fn(&T::T) -> Result<String, String>,
    ) -> Result<Vec<Field>, Error> {
        let mut fields: Vec<Field> = Vec::new();
        for part in &column.parts {
            let failed = |bad| self.reader.failed(part.first, bad);
            if column.descriptor.max_rep_level() > 0 {
                let lists = read_lists::<T>(self.reader.file, column, part).map_err(failed)?;
                let list =
                    |list: Vec<T::T>| list.iter().map(&text).collect::<Result<_, _>>().map(Given::List);
                fields.extend(lists.into_iter().map(list));
                continue;
            }
            let values = read::<T>(self.reader.file, column, part).map_err(failed)?;
            let field = |value: Option<T::T>| match value {
                Some(value) => text(&value).map(|text| Given::Text(text.into())),
                None => Ok(Given::Text("".into())),
            };
            fields.extend(values.rows.into_iter().map(field));
        }
        Ok(fields)
    }
}
