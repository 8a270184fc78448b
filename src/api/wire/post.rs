//! The answer to a post of events.

use serde::Serialize;
use utoipa::ToSchema;

use crate::record::Receipt;

/// What became of the events of one post. `events` is the sum of the counts after it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Events")]
pub struct EventsWire {
    /// Events in the post.
    pub events: u64,
    /// Aggregated by every monitor of the source.
    pub counted: u64,
    /// Late for a window that is closed and can still be revised.
    pub revised: u64,
    /// Refused by a monitor, or unreadable.
    pub rejected: u64,
    /// Too late for their window.
    pub late: u64,
    /// Over a limit.
    pub over_limit: u64,
    /// The first refused ones; one that two monitors refuse is named twice.
    pub rejects: Vec<RejectWire>,
    /// The first refused one in words, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "record 1: no timestamp in `time`")]
    pub error: Option<String>,
}

/// One refused event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Reject")]
pub struct RejectWire {
    /// Its place in the post, from 0.
    pub index: usize,
    /// What was wrong.
    pub detail: String,
}

impl From<Receipt> for EventsWire {
    fn from(receipt: Receipt) -> Self {
        Self {
            error: error(&receipt),
            events: receipt.events,
            counted: receipt.counted,
            revised: receipt.revised,
            rejected: receipt.rejected,
            late: receipt.late,
            over_limit: receipt.over_limit,
            rejects: receipt
                .rejects
                .into_iter()
                .map(|(index, detail)| RejectWire { index, detail })
                .collect(),
        }
    }
}

fn error(receipt: &Receipt) -> Option<String> {
    let Receipt { events, rejected, rejects, .. } = receipt;
    if *rejected == 0 {
        return None;
    }
    let first =
        rejects.first().map_or_else(String::new, |(index, detail)| format!("record {index}: {detail}"));
    let kept = events - rejected;
    let rest = match (*rejected, kept) {
        (1, 0) => String::new(),
        (1, 1) => "; the other one is kept".to_owned(),
        (1, _) => format!("; the other {kept} are kept"),
        (_, 0) => format!("; all {rejected} records were refused"),
        _ => format!("; {rejected} records were refused in all, the other {kept} are kept"),
    };
    Some(first + &rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_the_record_and_what_was_kept() {
        let words = |events, rejected| {
            let rejects = vec![(1, "no timestamp".to_owned())];
            EventsWire::from(Receipt { events, rejected, rejects, ..Receipt::default() }).error
        };
        assert_eq!(words(2, 0), None);
        assert_eq!(words(1, 1).unwrap(), "record 1: no timestamp");
        assert_eq!(words(3, 1).unwrap(), "record 1: no timestamp; the other 2 are kept");
        assert_eq!(words(2, 2).unwrap(), "record 1: no timestamp; all 2 records were refused");
        assert_eq!(
            words(9, 2).unwrap(),
            "record 1: no timestamp; 2 records were refused in all, the other 7 are kept"
        );
    }
}
