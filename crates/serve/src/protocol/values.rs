//! The values of a tensor in JSON: numbers or texts, in one list or in lists of lists.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Values of a tensor, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// What may stand in a list.
enum Element {
    Number(f64),
    Text(String),
    List(Values),
}

impl Values {
    fn push(self, element: Element) -> Result<Self, &'static str> {
        match (self, element) {
            (Self::Numbers(mut all), Element::Number(number)) => {
                all.push(number);
                Ok(Self::Numbers(all))
            }
            (Self::Texts(mut all), Element::Text(text)) => {
                all.push(text);
                Ok(Self::Texts(all))
            }
            (Self::Numbers(all), Element::Text(text)) if all.is_empty() => Ok(Self::Texts(vec![text])),
            (this, Element::List(list)) => this.append(list),
            _ => Err("numbers and texts in one tensor"),
        }
    }

    fn append(self, other: Self) -> Result<Self, &'static str> {
        match (self, other) {
            (Self::Numbers(all), other) if all.is_empty() => Ok(other),
            (this, Self::Numbers(none)) if none.is_empty() => Ok(this),
            (Self::Numbers(mut all), Self::Numbers(more)) => {
                all.extend(more);
                Ok(Self::Numbers(all))
            }
            (Self::Texts(mut all), Self::Texts(more)) => {
                all.extend(more);
                Ok(Self::Texts(all))
            }
            _ => Err("numbers and texts in one tensor"),
        }
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of a tensor's values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
        let mut values = Values::Numbers(Vec::new());
        while let Some(element) = list.next_element::<Element>()? {
            values = values.push(element).map_err(A::Error::custom)?;
        }
        Ok(values)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ValuesVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a list of them")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Element, E> {
        Ok(Element::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Element, E> {
        Ok(Element::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Element, A::Error> {
        ValuesVisitor.visit_seq(list).map(Element::List)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_lists_are_one() {
        let of = |text: &str| serde_json::from_str::<Values>(text);
        assert_eq!(of("[[1, 2.5], [], [-3, [4]]]").unwrap(), Values::Numbers(vec![1.0, 2.5, -3.0, 4.0]));
        assert_eq!(of("[[], [\"a\"], \"b\"]").unwrap(), Values::Texts(vec!["a".into(), "b".into()]));
        for bad in ["[1, \"a\"]", "[\"a\", 1]", "[[\"a\"], [1]]", "[true]", "[null]", "{}", "1"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(of(&("[".repeat(500) + &"]".repeat(500))).is_err(), "deeper than any tensor");
    }
}
