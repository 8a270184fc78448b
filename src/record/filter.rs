//! `where` conditions: typed tests on single fields.

use super::Field;

/// A value written in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number; also matches the same number written as text.
    Number(f64),
    /// Text; also matches a number or boolean that prints the same.
    Text(String),
}

/// A test on one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// The value is one of these (`type = "view"`, `type = { in = [...] }`).
    OneOf(Vec<Scalar>),
    /// The text starts with this.
    Prefix(String),
    /// A number below this.
    Less(f64),
    /// A number at or below this.
    LessOrEqual(f64),
    /// A number above this.
    Greater(f64),
    /// A number at or above this.
    GreaterOrEqual(f64),
    /// The field holds a value, or does not.
    Exists(bool),
    /// The inner test fails; true for a missing field, except around `Exists`.
    Not(Box<Predicate>),
}

/// A predicate on the field with this index.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Index in the row.
    pub field: usize,
    /// The test.
    pub predicate: Predicate,
}

impl Condition {
    /// Whether the row passes.
    pub fn holds(&self, row: &[Field<'_>]) -> bool {
        self.predicate.holds(&row[self.field])
    }
}

impl Predicate {
    fn holds(&self, field: &Field<'_>) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|value| value.equals(field)),
            Self::Prefix(prefix) => field.text().is_some_and(|text| text.starts_with(prefix)),
            Self::Less(bound) => field.number().is_some_and(|number| number < *bound),
            Self::LessOrEqual(bound) => field.number().is_some_and(|number| number <= *bound),
            Self::Greater(bound) => field.number().is_some_and(|number| number > *bound),
            Self::GreaterOrEqual(bound) => field.number().is_some_and(|number| number >= *bound),
            Self::Exists(wanted) => field.exists() == *wanted,
            Self::Not(inner) => !inner.holds(field),
        }
    }
}

impl Scalar {
    fn equals(&self, field: &Field<'_>) -> bool {
        match (self, field) {
            (Self::Text(wanted), Field::Text(text)) => wanted == text.as_ref(),
            (Self::Text(wanted), _) => field.text().is_some_and(|text| text == wanted.as_str()),
            (Self::Number(wanted), _) => field.number() == Some(*wanted),
            (Self::Bool(wanted), Field::Bool(value)) => wanted == value,
            (Self::Bool(wanted), _) => {
                field.text().is_some_and(|text| text == if *wanted { "true" } else { "false" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_typed_and_missing_fields_fail_them() {
        let text = |value: &'static str| Field::Text(value.into());
        let one_of = |value: Scalar| Predicate::OneOf(vec![value]);
        let cases: &[(Predicate, Field<'static>, bool)] = &[
            (one_of(Scalar::Text("view".into())), text("view"), true),
            (one_of(Scalar::Text("view".into())), text("views"), false),
            (one_of(Scalar::Number(3.0)), text("3.0"), true),
            (one_of(Scalar::Number(3.0)), Field::Int(3), true),
            (one_of(Scalar::Text("3".into())), Field::Int(3), true),
            (one_of(Scalar::Bool(true)), Field::Bool(true), true),
            (one_of(Scalar::Bool(true)), text("true"), true),
            (Predicate::Prefix("C".into()), text("C536379"), true),
            (Predicate::Not(Box::new(Predicate::Prefix("C".into()))), text("C536379"), false),
            (Predicate::Not(Box::new(Predicate::Prefix("C".into()))), Field::Missing, true),
            (Predicate::Less(0.0), text("-3"), true),
            (Predicate::Less(0.0), text("abc"), false),
            (Predicate::GreaterOrEqual(2.0), Field::Float(2.0), true),
            (Predicate::Greater(2.0), Field::Float(2.0), false),
            (Predicate::LessOrEqual(2.0), Field::Missing, false),
            (Predicate::Exists(true), Field::Null, false),
            (Predicate::Exists(false), text(""), true),
            (Predicate::Exists(true), Field::Composite, true),
        ];
        for (predicate, field, expected) in cases {
            assert_eq!(predicate.holds(field), *expected, "{predicate:?} on {field:?}");
        }
    }
}
