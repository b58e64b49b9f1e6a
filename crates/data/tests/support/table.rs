//! Parquet tables of images.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::file::writer::SerializedFileWriter;

/// Writes a table of one row group by the crate `parquet`.
pub(crate) fn write_table(path: &Path, images: Vec<Vec<u8>>, properties: WriterPropertiesBuilder) {
    let schema = "message m { required binary image; required int32 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let labels: Vec<i32> = (0..images.len() as i32).map(|row| row % 2).collect();
    let images: Vec<ByteArray> = images.into_iter().map(ByteArray::from).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}
