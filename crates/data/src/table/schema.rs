//! Columns of a table: which hold the images, the labels, the splits.

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::{SchemaDescriptor, Type};
use residual_arch::TaskKind;
use residual_files::{Budget, json_memory};
use serde_json::Value;

use crate::lists::{Role, column_key};
use crate::shards::distinct;
use crate::{Columns, Error, OpenOptions};

/// Usual names of the column of images.
const IMAGES: [&str; 14] = [
    "image",
    "img",
    "image_bytes",
    "image_data",
    "images",
    "picture",
    "photo",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "pixel_values",
    "bytes",
    "content",
];
/// Usual names of the column of labels beside those of a list.
const LABELS: [&str; 5] = ["fine_label", "cls", "coarse_label", "species", "breed"];

/// Columns of a table, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Column of the image files' bytes.
    pub(super) image: Option<usize>,
    /// Column of the image files' paths, which counts where a row has no bytes.
    pub(super) path: Option<usize>,
    /// Columns of the labels, and their names.
    pub(super) labels: Vec<(usize, String)>,
    pub(super) split: Option<usize>,
    /// Names of the classes, by label.
    pub(super) names: Option<Vec<String>>,
}

/// Finds the columns of a table; `shown` is its name in errors.
///
/// # Errors
/// [`Error::TableColumns`], which lists them.
pub(super) fn choose(file: &FileMetaData, shown: &str, options: &OpenOptions) -> Result<Chosen, Error> {
    let columns = &options.columns;
    let features = Features::of(file);
    let takes_numbers = options.task == TaskKind::Regression;
    let takes_lists = options.task == TaskKind::MultiLabel;
    let table = Table { schema: file.schema_descr(), features, columns, takes_numbers, takes_lists };
    let missing = |role| Error::TableColumns { file: shown.to_owned(), role, found: table.list() };
    let (image, path) = table.image().ok_or_else(|| missing("images"))?;
    let labels = table.labels().filter(|labels| !labels.is_empty()).ok_or_else(|| missing("labels"))?;
    let names = match labels.as_slice() {
        [(_, name)] => table.features.names(name),
        _ => None,
    };
    let split = table.split();
    if columns.split.is_some() && split.is_none() {
        return Err(missing("splits"));
    }
    Ok(Chosen { image, path, labels, split, names })
}

struct Table<'a> {
    schema: &'a SchemaDescriptor,
    features: Features,
    columns: &'a Columns,
    /// True where labels may be numbers with a point.
    takes_numbers: bool,
    /// True where labels may be lists.
    takes_lists: bool,
}

impl Table<'_> {
    fn roots(&self) -> impl Iterator<Item = &Type> {
        self.schema.root_schema().get_fields().iter().map(AsRef::as_ref)
    }

    fn root(&self, name: &str) -> Option<&Type> {
        let exact = self.roots().find(|root| root.name() == name);
        exact.or_else(|| self.roots().find(|root| root.name().eq_ignore_ascii_case(name)))
    }

    /// Number of the column at these parts of a path, where it is in no list.
    fn leaf(&self, parts: &[&str]) -> Option<usize> {
        let is_it = |number: &usize| {
            let column = self.schema.column(*number);
            column.path().parts().iter().map(String::as_str).eq(parts.iter().copied())
                && column.max_rep_level() == 0
        };
        (0..self.schema.num_columns()).find(is_it)
    }

    fn is_bytes(&self, leaf: usize) -> bool {
        self.schema.column(leaf).physical_type() == Physical::BYTE_ARRAY
    }

    fn is_text(&self, leaf: usize) -> bool {
        let column = self.schema.column(leaf);
        column.converted_type() == ConvertedType::UTF8
            || column.logical_type_ref() == Some(&LogicalType::String)
    }

    /// Columns of bytes and of paths of a column of images: a structure of the two, bytes alone or paths alone.
    fn parts_of(&self, root: &Type) -> Option<(Option<usize>, Option<usize>)> {
        let found = if root.is_group() {
            let part = |name| self.leaf(&[root.name(), name]).filter(|&leaf| self.is_bytes(leaf));
            (part("bytes"), part("path"))
        } else {
            let leaf = self.leaf(&[root.name()]).filter(|&leaf| self.is_bytes(leaf))?;
            if self.is_text(leaf) { (None, Some(leaf)) } else { (Some(leaf), None) }
        };
        (found != (None, None)).then_some(found)
    }

    fn image(&self) -> Option<(Option<usize>, Option<usize>)> {
        if let Some(asked) = &self.columns.path {
            return self.parts_of(self.root(asked)?);
        }
        let typed = self.features.of_type("Image").find_map(|name| self.parts_of(self.root(name)?));
        // Bytes before paths: `image` may be an identifier beside `bytes`.
        let named = || IMAGES.iter().filter_map(|name| self.parts_of(self.root(name)?));
        let any = || self.roots().filter(|root| root.is_group()).filter_map(|root| self.parts_of(root));
        let bytes = typed.or_else(|| named().chain(any()).find(|(bytes, _)| bytes.is_some()));
        bytes.or_else(|| {
            self.parts_of(self.root(column_key(Role::Path, self.columns, |name| self.root(name).is_some())?)?)
        })
    }

    fn labels(&self) -> Option<Vec<(usize, String)>> {
        let owned = |(leaf, name): (usize, &str)| (leaf, name.to_owned());
        match self.columns.labels.as_slice() {
            [] => Some(vec![owned(self.label()?)]),
            names => names.iter().map(|name| self.readable(self.root(name)?).map(owned)).collect(),
        }
    }

    /// Number of the only column of a list of values.
    fn list_leaf(&self, root: &Type) -> Option<usize> {
        let is_below = |number: &usize| {
            self.schema.column(*number).path().parts().first().map(String::as_str) == Some(root.name())
        };
        let mut below = (0..self.schema.num_columns()).filter(is_below);
        let leaf = below.next().filter(|&leaf| self.schema.column(leaf).max_rep_level() == 1)?;
        below.next().is_none().then_some(leaf)
    }

    /// Number of a column that can hold labels, and its name.
    fn readable<'t>(&self, root: &'t Type) -> Option<(usize, &'t str)> {
        let list = || self.list_leaf(root).filter(|_| self.takes_lists);
        let leaf = self.leaf(&[root.name()]).or_else(list)?;
        let is_readable = match self.schema.column(leaf).physical_type() {
            Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY | Physical::BOOLEAN => true,
            Physical::FLOAT | Physical::DOUBLE => self.takes_numbers,
            _ => false,
        };
        is_readable.then_some((leaf, root.name()))
    }

    fn label(&self) -> Option<(usize, &str)> {
        let named = |name: &str| self.root(name).and_then(|root| self.readable(root));
        if let Some(asked) = &self.columns.label {
            return named(asked);
        }
        let usual = column_key(Role::Label, self.columns, |name| named(name).is_some()).and_then(named);
        let of_images = || LABELS.iter().copied().find_map(named);
        usual.or_else(of_images).or_else(|| self.features.of_type("ClassLabel").find_map(named))
    }

    fn split(&self) -> Option<usize> {
        let name = self.columns.split.as_deref().unwrap_or("split");
        self.leaf(&[self.root(name)?.name()]).filter(|&leaf| self.is_bytes(leaf))
    }

    /// Columns as an error lists them.
    fn list(&self) -> Vec<String> {
        let kind = |root: &Type| match root {
            Type::GroupType { fields, .. } => {
                let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
                format!("of {}", names.join(" and "))
            }
            Type::PrimitiveType { physical_type, .. } => physical_type.to_string(),
        };
        let text =
            |root: &Type| residual_files::escaped(&format!("{} ({})", root.name(), kind(root))).to_string();
        self.roots().map(text).collect()
    }
}

/// Features that Hugging Face's `datasets` keeps beside a table: types of columns, names of classes.
struct Features(serde_json::Map<String, Value>);

impl Features {
    fn of(file: &FileMetaData) -> Self {
        let values = file.key_value_metadata().into_iter().flatten();
        let text = values.filter(|value| value.key == "huggingface").find_map(|value| value.value.as_deref());
        let read = |text: &str| {
            Budget::new(256 << 20).charge(json_memory(text.as_bytes())).ok()?;
            let mut value: Value = serde_json::from_str(text).ok()?;
            match value.get_mut("info")?.get_mut("features")?.take() {
                Value::Object(features) => Some(features),
                _ => None,
            }
        };
        Self(text.and_then(read).unwrap_or_default())
    }

    /// Names of the columns of a type.
    fn of_type(&self, kind: &str) -> impl Iterator<Item = &str> {
        let is_it = move |feature: &Value| feature.get("_type").and_then(Value::as_str) == Some(kind);
        self.0.iter().filter(move |(_, feature)| is_it(feature)).map(|(name, _)| name.as_str())
    }

    /// Names of the classes of a column of labels.
    fn names(&self, column: &str) -> Option<Vec<String>> {
        let feature = self.0.get(column)?;
        // Of a list, those of its elements.
        let names = feature.get("names").or_else(|| feature.get("feature")?.get("names"))?.as_array()?;
        let names: Option<Vec<String>> = names.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
        names.filter(|names| !names.is_empty()).map(distinct)
    }
}
