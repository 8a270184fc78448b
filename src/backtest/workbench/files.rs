//! The results of backtests in a folder: two files each, the report and the rest.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    anomaly::Incident,
    pipeline::{BacktestRow, BacktestsError},
};

/// Everything that is kept of one.
#[derive(Debug)]
pub(super) struct Kept {
    /// Incidents that people would have heard of.
    pub(super) heard: Vec<Incident>,
    /// Rules said what people hear of; else this severity.
    pub(super) has_rules: bool,
    pub(super) severity: f64,
    pub(super) span_millis: (i64, i64),
    pub(super) summary: String,
    pub(super) result: Value,
    pub(super) report: String,
}

/// The file beside the report.
#[derive(Serialize, Deserialize)]
struct Document {
    row: BacktestRow,
    heard: Vec<Incident>,
    has_rules: bool,
    severity: f64,
    span_millis: (i64, i64),
    summary: String,
    result: Value,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What is there, oldest first; a file that cannot be read is passed over with a warning.
    pub(super) fn rows(&self) -> Vec<BacktestRow> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut rows = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| error.to_string());
            match text
                .and_then(|text| serde_json::from_str::<Document>(&text).map_err(|error| error.to_string()))
            {
                Ok(document) => rows.push(document.row),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a kept backtest cannot be read");
                }
            }
        }
        rows.sort_by(|a, b| {
            (a.created_millis, a.id.len(), &a.id).cmp(&(b.created_millis, b.id.len(), &b.id))
        });
        rows
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> BacktestsError {
        BacktestsError::Files(format!("keep a backtest in `{}`: {error}", self.folder.display()))
    }

    pub(super) fn write(&self, row: &BacktestRow, kept: &Kept) -> Result<(), BacktestsError> {
        fs::create_dir_all(&self.folder).map_err(|error| self.failed(&error))?;
        let document = Document {
            row: row.clone(),
            heard: kept.heard.clone(),
            has_rules: kept.has_rules,
            severity: kept.severity,
            span_millis: kept.span_millis,
            summary: kept.summary.clone(),
            result: kept.result.clone(),
        };
        let text = serde_json::to_string(&document).map_err(|error| self.failed(&error))?;
        fs::write(self.path(&row.id, "html"), &kept.report).map_err(|error| self.failed(&error))?;
        fs::write(self.path(&row.id, "json"), text).map_err(|error| self.failed(&error))
    }

    pub(super) fn read(&self, id: &str) -> Result<Kept, BacktestsError> {
        let failed = |error: io::Error| BacktestsError::Files(format!("read backtest `{id}`: {error}"));
        let text = fs::read_to_string(self.path(id, "json")).map_err(failed)?;
        let report = fs::read_to_string(self.path(id, "html")).map_err(failed)?;
        let document: Document = serde_json::from_str(&text).map_err(io::Error::other).map_err(failed)?;
        let Document { heard, has_rules, severity, span_millis, summary, result, .. } = document;
        Ok(Kept { heard, has_rules, severity, span_millis, summary, result, report })
    }

    pub(super) fn remove(&self, id: &str) -> Result<(), BacktestsError> {
        for ending in ["json", "html"] {
            match fs::remove_file(self.path(id, ending)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(BacktestsError::Files(format!("remove backtest `{id}`: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ids are made here, of letters and digits.
    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }
}
