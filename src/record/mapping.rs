//! From a row of fields to an event of one monitor: its time, its dimension values, its measure inputs.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher},
};

use foldhash::fast::FixedState;
use jiff::tz::TimeZone;

use super::{Condition, Field, FieldPaths, Reject, RejectReason, TimestampFormat};

/// The value of a dimension that an event does not carry.
pub const NO_VALUE: &str = "(none)";

/// Conditions per monitor; each distinct one is tested once per event and remembered in one bit.
const MAX_CONDITIONS: usize = 64;

/// What a measure takes from an event that passes its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// The event itself.
    Event,
    /// A number in this field; an event without it adds nothing.
    Number(usize),
    /// The identity of the value in this field; an event without it adds nothing.
    Identity(usize),
}

/// One measure's reading of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// The event does not concern this measure.
    Nothing,
    /// The event counts once.
    Event,
    /// A number to aggregate; finite.
    Number(f64),
    /// A stable 64-bit hash of an identity.
    Identity(u64),
}

/// A reusable buffer of one input per aggregated measure.
#[derive(Clone, Debug, Default)]
pub struct Inputs(Vec<Input>);

#[derive(Clone, Debug)]
struct MeasureMapping {
    kind: InputKind,
    /// Bits of the conditions that must hold.
    needs: u64,
}

/// What one aggregated measure wants of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureInput {
    /// The part of the event.
    pub kind: InputKind,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// How a monitor reads rows. Checked when built; reading never fails but by a [`Reject`].
#[derive(Clone, Debug)]
pub struct Mapping {
    timestamp: usize,
    timestamp_name: String,
    format: TimestampFormat,
    zone: TimeZone,
    dimensions: Vec<usize>,
    measures: Vec<MeasureMapping>,
    conditions: Vec<Condition>,
    names: Vec<String>,
}

/// The mapping cannot be built.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// More distinct conditions than bits.
    #[error("{found} distinct `where` conditions; at most {MAX_CONDITIONS} per monitor")]
    TooManyConditions {
        /// How many there are.
        found: usize,
    },
}

/// One event as a monitor sees it. Borrows the row it was read from.
#[derive(Debug)]
pub struct Event<'r> {
    /// Event time, milliseconds since the Unix epoch.
    pub time_millis: i64,
    /// One input per aggregated measure.
    pub inputs: &'r [Input],
    row: &'r [Field<'r>],
    dimensions: &'r [usize],
}

impl Event<'_> {
    /// The values of the dimensions in order; [`NO_VALUE`] where the event has none.
    pub fn dimensions(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.dimensions.iter().map(|field| self.row[*field].text().unwrap_or(Cow::Borrowed(NO_VALUE)))
    }
}

impl Mapping {
    /// Builds the mapping and adds the fields it needs to `paths`.
    pub fn new(
        paths: &mut FieldPaths,
        timestamp: &str,
        format: TimestampFormat,
        zone: TimeZone,
        dimensions: &[String],
        measures: &[MeasureInput],
    ) -> Result<Self, MappingError> {
        let mut conditions: Vec<Condition> = Vec::new();
        let mut mapped = Vec::with_capacity(measures.len());
        for measure in measures {
            let mut needs = 0_u64;
            for condition in &measure.conditions {
                let at = conditions.iter().position(|known| known == condition).unwrap_or_else(|| {
                    conditions.push(condition.clone());
                    conditions.len() - 1
                });
                if at >= MAX_CONDITIONS {
                    return Err(MappingError::TooManyConditions { found: at + 1 });
                }
                needs |= 1 << at;
            }
            mapped.push(MeasureMapping { kind: measure.kind, needs });
        }
        let timestamp_field = paths.index(timestamp);
        let dimensions = dimensions.iter().map(|path| paths.index(path)).collect();
        Ok(Self {
            timestamp: timestamp_field,
            timestamp_name: timestamp.to_owned(),
            format,
            zone,
            dimensions,
            measures: mapped,
            conditions,
            names: paths.names().to_vec(),
        })
    }

    /// The field of the time.
    pub fn timestamp(&self) -> &str {
        &self.timestamp_name
    }

    /// The time that stands in a cell.
    pub fn millis(&self, cell: &str) -> Option<i64> {
        self.format.millis(&Field::Text(cell.into()), &self.zone).ok()
    }

    /// Reads a row. The event borrows `inputs`, which can be used again for the next row.
    pub fn read<'r>(&'r self, row: &'r [Field<'r>], inputs: &'r mut Inputs) -> Result<Event<'r>, Reject> {
        let field = &row[self.timestamp];
        if !field.exists() {
            return Err(Reject::new(
                RejectReason::NoTimestamp,
                format!("field `{}` is missing", self.timestamp_name),
            ));
        }
        let time_millis = self.format.millis(field, &self.zone).map_err(|detail| {
            Reject::new(RejectReason::BadTimestamp, format!("field `{}`: {detail}", self.timestamp_name))
        })?;
        let mut holds = 0_u64;
        for (bit, condition) in self.conditions.iter().enumerate() {
            holds |= u64::from(condition.holds(row)) << bit;
        }
        inputs.0.clear();
        for measure in &self.measures {
            let input = if holds & measure.needs == measure.needs {
                self.input(measure.kind, row)?
            } else {
                Input::Nothing
            };
            inputs.0.push(input);
        }
        Ok(Event { time_millis, inputs: &inputs.0, row, dimensions: &self.dimensions })
    }

    fn input(&self, kind: InputKind, row: &[Field<'_>]) -> Result<Input, Reject> {
        match kind {
            InputKind::Event => Ok(Input::Event),
            InputKind::Number(field) if !row[field].exists() => Ok(Input::Nothing),
            InputKind::Number(field) => row[field].number().map(Input::Number).ok_or_else(|| {
                let value: String =
                    row[field].text().unwrap_or("an object or array".into()).chars().take(64).collect();
                Reject::new(
                    RejectReason::NotANumber,
                    format!("field `{}`: `{value}` is not a finite number", self.names[field]),
                )
            }),
            InputKind::Identity(field) => {
                Ok(row[field].text().map_or(Input::Nothing, |text| Input::Identity(identity(&text))))
            }
        }
    }
}

/// A hash that is the same in every process and version: distinct counts are stored and merged.
fn identity(text: &str) -> u64 {
    let mut hasher = FixedState::with_seed(0x7469_6465).build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Decoder, Format, Predicate, Scalar};

    fn shop() -> (Decoder, Mapping) {
        let mut paths = FieldPaths::default();
        let purchase = Condition {
            field: paths.index("type"),
            predicate: Predicate::OneOf(vec![Scalar::Text("purchase".into())]),
        };
        let total = paths.index("order.total");
        let visitor = paths.index("visitor");
        let measures = [
            MeasureInput { kind: InputKind::Event, conditions: vec![] },
            MeasureInput { kind: InputKind::Number(total), conditions: vec![purchase] },
            MeasureInput { kind: InputKind::Identity(visitor), conditions: vec![] },
        ];
        let mapping = Mapping::new(
            &mut paths,
            "at",
            TimestampFormat::Auto,
            TimeZone::UTC,
            &["geo.country".into(), "device".into()],
            &measures,
        )
        .unwrap();
        (Decoder::new(Format::Json, paths, 1000), mapping)
    }

    fn read(text: &str) -> Result<(i64, Vec<String>, Vec<Input>), Reject> {
        let (decoder, mapping) = shop();
        let mut outcome = None;
        decoder.decode(text.as_bytes(), &mut Vec::new(), &mut |row| {
            outcome = Some(row.and_then(|row| {
                let mut inputs = Inputs::default();
                let event = mapping.read(row, &mut inputs)?;
                let dimensions = event.dimensions().map(Cow::into_owned).collect();
                Ok((event.time_millis, dimensions, event.inputs.to_vec()))
            }));
        });
        outcome.unwrap()
    }

    #[test]
    fn an_event_has_time_dimensions_and_inputs() {
        let (time, dimensions, inputs) =
            read(r#"{"at":1000,"type":"purchase","geo":{"country":"DE"},"device":7,"order":{"total":"12.5"},"visitor":"v1"}"#)
                .unwrap();
        assert_eq!(time, 1_000_000);
        assert_eq!(dimensions, ["DE", "7"]);
        assert_eq!(inputs[..2], [Input::Event, Input::Number(12.5)]);
        assert!(matches!(inputs[2], Input::Identity(_)));
    }

    #[test]
    fn missing_dimensions_are_none_and_missing_inputs_nothing() {
        let (_, dimensions, inputs) = read(r#"{"at":1000,"type":"purchase","device":""}"#).unwrap();
        assert_eq!(dimensions, [NO_VALUE, NO_VALUE]);
        assert_eq!(inputs, [Input::Event, Input::Nothing, Input::Nothing]);
    }

    #[test]
    fn rejects_name_the_field_and_the_value() {
        let reject = read(r#"{"at":"soon"}"#).unwrap_err();
        assert_eq!(reject.detail, "field `at`: `soon` is not a timestamp");
        let reject = read("{}").unwrap_err();
        assert_eq!(
            (reject.reason, reject.detail.as_str()),
            (RejectReason::NoTimestamp, "field `at` is missing")
        );
        let reject = read(r#"{"at":1000,"type":"purchase","order":{"total":"free"}}"#).unwrap_err();
        assert_eq!(reject.detail, "field `order.total`: `free` is not a finite number");
        assert!(read(r#"{"at":1000,"type":"view","order":{"total":"free"}}"#).is_ok());
    }

    #[test]
    fn identities_hash_the_same_in_every_run() {
        assert_eq!(identity("v0012345"), identity("v0012345"));
        assert_ne!(identity("v1"), identity("v2"));
    }
}
