//! Augmentations written in a line, as on a command line.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::kind::Augment;
use crate::Error;

/// Names of all augmentations, as in a recipe.
const NAMES: &str = "random_resized_crop, pad_crop, horizontal_flip, vertical_flip, random_rotation, random_affine, \
                     color_jitter, random_grayscale, gaussian_blur, rand_augment, trivial_augment_wide, auto_augment, \
                     aug_mix, three_augment, random_erasing";

impl Augment {
    /// Augmentations of a line, in order, with commas between them: `pad_crop,horizontal_flip,rand_augment:magnitude=12`.
    ///
    /// # Errors
    /// [`Error::AugmentText`] for what is no augmentation, and those of [`check`](Self::check).
    ///
    /// ```
    /// use residual_data::Augment;
    /// let list = Augment::parse_list("random_resized_crop:scale=[0.35,1],horizontal_flip")?;
    /// assert_eq!(list.len(), 2);
    /// assert!(Augment::parse_list("rotate").unwrap_err().to_string().contains("random_rotation"));
    /// # Ok::<(), residual_data::Error>(())
    /// ```
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let mut depth = 0_i32;
        let between = |letter: char| {
            depth += i32::from(letter == '[') - i32::from(letter == ']');
            letter == ',' && depth == 0
        };
        text.split(between).map(|one| one.trim().parse()).collect()
    }
}

/// Name, and parameters behind colons: `rand_augment:num_ops=3:magnitude=12`.
impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::AugmentText { text: text.to_owned(), reason, names: NAMES };
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let mut fields = Map::from_iter([("kind".to_owned(), Value::from(name))]);
        for part in parts {
            let (field, value) =
                part.split_once('=').ok_or_else(|| wrong(format!("`{part}` is no field=value")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            fields.insert(field.to_owned(), value);
        }
        let augment: Self =
            serde_json::from_value(Value::Object(fields)).map_err(|error| wrong(error.to_string()))?;
        augment.check()?;
        Ok(augment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RandAugment, RandomRotation};

    #[test]
    fn every_name_is_known_and_parameters_are_read() {
        for name in NAMES.split(", ") {
            let text = if name.starts_with("random_rot") || name == "random_affine" {
                format!("{name}:degrees=15")
            } else {
                name.to_owned()
            };
            assert_eq!(text.parse::<Augment>().unwrap().name(), name);
        }
        let list =
            Augment::parse_list("random_rotation:degrees=[-5,10]:fill=mean, rand_augment:ops=3:magnitude=12");
        let list = list.unwrap();
        let policy = RandAugment::default().with(|policy| (policy.num_ops, policy.magnitude) = (3, 12));
        assert_eq!(list[1], Augment::RandAugment(policy));
        assert!(matches!(&list[0], Augment::RandomRotation(RandomRotation { .. })), "{list:?}");
    }

    #[test]
    fn what_is_no_augmentation_is_said() {
        for (text, wanted) in [
            ("rotate", "unknown variant `rotate`"),
            ("", "unknown variant ``"),
            ("random_rotation", "degrees"),
            ("rand_augment:12", "`12` is no field=value"),
            ("rand_augment:magnitud=12", "magnitud"),
            ("horizontal_flip:probability=2", "0 to 1"),
        ] {
            let error = Augment::parse_list(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
