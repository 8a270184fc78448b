//! What is said about a monitor's configuration: bodies of requests, and answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    configuring::{ConfigChange, ConfigProblemWire, ConfigWire},
    error::ApiError,
    wire::rfc3339,
};
use crate::{
    anomaly::Incident,
    pipeline::{Effect, Label, Ledger},
};

/// Incidents listed of each kind.
const LISTED_MAX: usize = 50;

/// A change of a monitor: one of `toml` and `set`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangeBody {
    /// All tables of the monitor.
    pub(super) toml: Option<String>,
    /// Keys from the monitor's table on, such as `severity`, `alerts.0.severity`; `null` takes one out.
    pub(super) set: Option<Map<String, Value>>,
    /// As it was read; needed to save.
    pub(super) revision: Option<String>,
}

impl ChangeBody {
    pub(super) fn change(self) -> Result<ConfigChange, ApiError> {
        match (self.toml, self.set) {
            (Some(text), None) => Ok(ConfigChange::Text(text)),
            (None, Some(keys)) => Ok(ConfigChange::Keys(keys.into_iter().collect())),
            _ => Err(ApiError::bad_request("the body must hold one of `toml` and `set`")),
        }
    }
}

/// A change and what it would have done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "ConfigPreview")]
pub(super) struct ConfigPreviewWire {
    /// Whether it can be saved.
    pub(super) valid: bool,
    /// What is wrong.
    pub(super) problems: Vec<ConfigProblemWire>,
    /// The monitor's tables with the change.
    pub(super) toml: String,
    /// Lines that come and go, beginning with `+` and `-`.
    pub(super) diff: Vec<String>,
    /// What it would have done to the stored past; `null` while something is wrong.
    pub(super) effect: Option<EffectWire>,
}

/// What a change would have done to the last 30 days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "ConfigEffect")]
pub(super) struct EffectWire {
    /// Start of the first window looked at.
    #[schema(format = DateTime)]
    pub(super) from: Option<String>,
    /// End of the last one.
    #[schema(format = DateTime)]
    pub(super) to: Option<String>,
    /// Windows looked at.
    pub(super) windows: usize,
    /// Incidents told with the settings as they run.
    pub(super) now: usize,
    /// And with the change.
    pub(super) then: usize,
    /// Told with the change only, newest first; at most 50.
    pub(super) gained: Vec<EffectIncidentWire>,
    /// Told without the change only.
    pub(super) lost: Vec<EffectIncidentWire>,
    /// Confirmed by people, told now, and told no more.
    pub(super) confirmed_lost: Vec<EffectIncidentWire>,
    /// What was and was not looked at.
    pub(super) note: String,
}

/// An incident in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "EffectIncident")]
pub(super) struct EffectIncidentWire {
    /// Its id; empty when none like it is stored.
    pub(super) id: String,
    /// Start of its first anomalous window.
    #[schema(format = DateTime)]
    pub(super) opened_at: String,
    /// End of its last one.
    #[schema(format = DateTime)]
    pub(super) until: String,
    /// Peak severity.
    pub(super) severity: f64,
    /// One sentence.
    pub(super) summary: String,
    /// What people said of it: `confirmed`, `expected`, `false_alarm` or `new_normal`.
    pub(super) label: Option<&'static str>,
}

impl EffectWire {
    pub(super) fn new(effect: Effect, ledger: &Ledger) -> Self {
        let listed = |incidents: Vec<Incident>| {
            let newest = incidents.into_iter().rev().take(LISTED_MAX);
            newest.map(|incident| EffectIncidentWire::new(incident, ledger)).collect()
        };
        Self {
            from: effect.span_millis.map(|(from, _)| rfc3339(from)),
            to: effect.span_millis.map(|(_, to)| rfc3339(to)),
            windows: effect.num_windows,
            now: effect.now.len(),
            then: effect.then.len(),
            gained: listed(effect.gained),
            lost: listed(effect.lost),
            confirmed_lost: listed(effect.confirmed_lost),
            note: effect.note,
        }
    }
}

impl EffectIncidentWire {
    fn new(incident: Incident, ledger: &Ledger) -> Self {
        Self {
            opened_at: rfc3339(incident.opened_millis),
            until: rfc3339(incident.until_millis),
            severity: incident.severity.peak,
            summary: incident.summary,
            label: ledger.label(&incident.id).map(Label::as_str),
            id: incident.id,
        }
    }
}

/// A new monitor.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CreateBody {
    /// Its name.
    pub(super) name: Option<String>,
    /// Its tables; those of a source may be among them.
    pub(super) toml: Option<String>,
}

/// What became of a new monitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Created")]
pub(super) struct CreatedWire {
    /// Whether it runs now.
    pub(super) valid: bool,
    /// What is wrong.
    pub(super) problems: Vec<ConfigProblemWire>,
    /// How it is written; `null` while something is wrong.
    pub(super) config: Option<ConfigWire>,
}

/// Sample records.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProposeBody {
    /// JSON objects (one per line, or a list), CSV or TSV with a header. Nothing of it is kept.
    pub(super) samples: Option<String>,
    /// What the monitor is to be called; `shop` if left out.
    pub(super) name: Option<String>,
}
