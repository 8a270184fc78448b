//! What a monitor is told to do: the checked configuration that it, its models and its windows work by.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;

use super::{Judging, Models, Seen, relations::RelationSpec};
use crate::{
    anomaly::MonitorFacts,
    calendar::{Calendar, IcsFile, IcsProblem, Moment, read_ics},
    record::Mapping,
    window::{MeasureKind, SliceKey, WindowSpec},
};

/// A configured monitor, checked.
#[derive(Clone, Debug)]
pub struct MonitorSpec {
    /// Names, units, rules.
    pub facts: MonitorFacts,
    /// What is aggregated.
    pub window: Arc<WindowSpec>,
    /// How rows become events.
    pub mapping: Mapping,
    /// How each measure is judged.
    pub judging: Vec<Judging>,
    /// Measures judged together. Their names follow those of the measures in `facts`.
    pub relations: Vec<RelationSpec>,
    /// Whose civil time the seasons of a slice follow.
    pub zones: SliceZones,
    /// Which times are special for which slices.
    pub calendar: Arc<Calendar>,
    /// Calendar files that belong to it; [`MonitorSpec::import`] takes their text.
    pub calendar_files: Vec<IcsFile>,
    /// A partition silent for so long is left out of the watermark.
    pub idle_timeout_millis: i64,
    /// Events later than their arrival by more than this are refused.
    pub max_lead_millis: i64,
    /// A source unreachable for so long raises a no-data incident.
    pub no_data_after_millis: i64,
    /// Bytes kept of closed windows that can still be revised; the oldest go first.
    pub correction_bytes_max: usize,
    /// How long closed windows are kept; `None` for ever.
    pub retention_millis: Option<i64>,
}

impl MonitorSpec {
    /// What the models are told of a window of a slice besides its values.
    pub fn seen(&self, slice: &SliceKey, start_millis: i64) -> Seen {
        let civil_seconds = self.zones.civil_seconds(slice, start_millis);
        let width_seconds = self.window.grid.width().seconds();
        let moment = Moment { civil_seconds, seconds: start_millis.div_euclid(1000), width_seconds };
        let verdict = self.calendar.at(slice, moment);
        Seen { civil_seconds, occasion: verdict.occasion, hold: verdict.hold }
    }

    /// Models of a monitor that has seen nothing.
    pub fn models(&self) -> Models {
        Models::new(self.judging.clone(), self.relations.clone(), self.calendar.fingerprint())
            .with_quiet(self.window.quiet_row().cells)
    }

    /// Whether windows get the same scores under other settings: only rules, names and the like differ.
    pub fn judges_like(&self, other: &Self) -> bool {
        let judging = |spec: &Self| format!("{:?} {:?}", spec.judging, spec.relations);
        judging(self) == judging(other)
            && self.calendar.fingerprint() == other.calendar.fingerprint()
            && (&self.zones.default, &self.zones.by) == (&other.zones.default, &other.zones.by)
    }

    /// Whether the same events are counted in the same way.
    pub fn counts_like(&self, other: &Self) -> bool {
        format!("{:?}", self.mapping) == format!("{:?}", other.mapping)
    }

    /// Adds the events of one of [`MonitorSpec::calendar_files`]; says which could not be used.
    pub fn import(&mut self, file: &IcsFile, text: &str) -> Vec<IcsProblem> {
        let (entries, problems) = read_ics(text, &file.defaults);
        Arc::make_mut(&mut self.calendar).extend(entries);
        problems
    }

    /// What stored windows and slices depend on. A monitor cannot go on with another shape; its detector
    /// settings may change, the models are then rebuilt from its history.
    pub fn shape(&self) -> String {
        let window = &self.window;
        let name = |measure: &usize| window.measures[*measure].name.as_str();
        let measures: Vec<String> = window
            .measures
            .iter()
            .map(|measure| match &measure.kind {
                MeasureKind::Aggregate(kind) => format!("{} ({})", measure.name, kind.word()),
                MeasureKind::Ratio { numerator, denominator } => {
                    format!("{} ({} / {})", measure.name, name(numerator), name(denominator))
                }
            })
            .collect();
        let level = |kept: &Vec<bool>| {
            let names = window.dimensions.iter().zip(kept).filter(|(_, kept)| **kept);
            format!("[{}]", names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
        };
        // Anomalies are stored by number of measure and relation.
        let mut relations = String::new();
        for relation in &self.relations {
            relations += "; relation ";
            relations += &relation.name;
        }
        format!(
            "interval {} s in {}; dimensions {}; rollups {}; measures {}{relations}",
            window.grid.width().seconds(),
            window.grid.zone().iana_name().unwrap_or("fixed"),
            window.dimensions.join(", "),
            window.rollups.iter().map(level).collect::<Vec<_>>().join(" "),
            measures.join(", "),
        )
    }
}

/// Time zones by the value of one dimension.
#[derive(Clone, Debug)]
pub struct SliceZones {
    /// The zone of slices that name no value, or another one.
    pub default: TimeZone,
    /// Index of the dimension and the zones of its values.
    pub by: Option<(usize, BTreeMap<String, TimeZone>)>,
}

impl SliceZones {
    /// The zone of a slice.
    pub fn of(&self, slice: &SliceKey) -> &TimeZone {
        self.by
            .as_ref()
            .and_then(|(dimension, zones)| zones.get(slice.0.get(*dimension)?.as_deref()?))
            .unwrap_or(&self.default)
    }

    /// Seconds on the wall clock of a slice at `millis`.
    pub fn civil_seconds(&self, slice: &SliceKey, millis: i64) -> i64 {
        crate::window::WindowGrid::civil_seconds_in(self.of(slice), millis)
    }
}
