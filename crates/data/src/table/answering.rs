//! Answers that are more than one class, of the columns of a table.

use parquet::basic::Type as Physical;
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};

use super::column::Column;
use super::open::{Raw, Reader};
use super::read::read;
use crate::answers::{Given, answer};
use crate::{Error, OpenOptions};

/// Columns of answers that are read.
pub(super) struct Answering<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// Names of the columns.
    pub(super) columns: &'a [String],
    pub(super) options: &'a OpenOptions,
}

/// Text of a value; none where the row has no value.
type Text = Result<Option<String>, String>;

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
            let row: Option<Vec<Text>> = texts.iter_mut().map(Iterator::next).collect();
            let Some(row) = row else { return Ok(rows) };
            rows.push(self.row(row));
        }
    }

    fn row(&self, row: Vec<Text>) -> Result<String, String> {
        let given = row.into_iter().map(|text| Ok(Given::Text(text?.unwrap_or_default().into())));
        answer(self.options.task, self.columns, &given.collect::<Result<Vec<_>, String>>()?)
    }

    fn texts(&self, column: &Column, names: Option<&[String]>) -> Result<Vec<Text>, Error> {
        let whole = |value: i64| Raw::Number(value).text(names).map(Some);
        match column.descriptor.physical_type() {
            Physical::INT32 => self.of::<Int32Type>(column, |value| whole(i64::from(*value))),
            Physical::INT64 => self.of::<Int64Type>(column, |value| whole(*value)),
            Physical::BOOLEAN => self.of::<BoolType>(column, |value| whole(i64::from(*value))),
            Physical::FLOAT => self.of::<FloatType>(column, |value| Ok(Some(value.to_string()))),
            Physical::DOUBLE => self.of::<DoubleType>(column, |value| Ok(Some(value.to_string()))),
            _ => self.of::<ByteArrayType>(column, |value| match std::str::from_utf8(value.data()) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err("a label that is no text".to_owned()),
            }),
        }
    }

    fn of<T: DataType>(&self, column: &Column, text: impl Fn(&T::T) -> Text) -> Result<Vec<Text>, Error> {
        let mut texts = Vec::new();
        for part in &column.parts {
            let values = read::<T>(self.reader.file, column, part);
            let values = values.map_err(|bad| self.reader.failed(part.first, bad))?;
            texts.extend(values.rows.iter().map(|value| value.as_ref().map_or(Ok(None), &text)));
        }
        Ok(texts)
    }
}
