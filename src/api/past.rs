//! What routes need to tell a monitor something, or to look at its past again.

use std::sync::Arc;

use super::{error::ApiError, state::App};
use crate::{
    calendar::{Clock, SpecialTimeWire},
    pipeline::{Ask, History, Instructed, Instruction, Ledger, MonitorSpec, Past, SeriesAt},
    window::{SliceKey, SliceRegistry},
};

/// Who asks, when nobody says.
const SOMEBODY: &str = "api";

/// The past of a monitor, held for as long as somebody looks at it.
#[derive(Clone)]
pub(super) struct HeldPast {
    history: Arc<dyn History>,
    pub(super) spec: Arc<MonitorSpec>,
    pub(super) slices: Arc<SliceRegistry>,
    pub(super) ledger: Arc<Ledger>,
}

impl App {
    /// Has an instruction carried out.
    pub(super) async fn tell(
        &self,
        monitor: &str,
        by: Option<String>,
        ask: Ask,
    ) -> Result<Instructed, ApiError> {
        let source = &self.monitor(monitor)?.source;
        let desk = self
            .parts
            .desks
            .get(source)
            .ok_or_else(|| ApiError::unavailable(format!("source `{source}` takes no instructions")))?;
        let by = super::json::word("by", by)?.unwrap_or_else(|| SOMEBODY.to_owned());
        let instruction = Instruction { at_millis: self.parts.clock.now_millis(), by, ask };
        Ok(desk.tell(monitor, instruction).await?)
    }

    /// The past of a monitor as stored now.
    pub(super) async fn past(&self, monitor: &str) -> Result<HeldPast, ApiError> {
        self.monitor(monitor)?;
        let spec = self.parts.specs.get(monitor).ok_or_else(|| {
            ApiError::not_found(format!("monitor `{monitor}` is not configured with its past"))
        })?;
        let history = Arc::clone(&self.parts.history);
        let slices = self.slices.renew(history.as_ref(), monitor).await?;
        let ledger = Arc::new(Ledger::of(&history.instructed(monitor).await?));
        Ok(HeldPast { history, spec: Arc::clone(spec), slices, ledger })
    }
}

impl HeldPast {
    /// What looks at it.
    pub(super) fn look(&self) -> Past<'_> {
        Past {
            history: self.history.as_ref(),
            spec: &self.spec,
            slices: self.slices.keys(),
            ledger: &self.ledger,
        }
    }

    /// The series of a measure and slice, if it is kept.
    pub(super) fn series(&self, measure: usize, slice: &SliceKey) -> Option<SeriesAt> {
        self.slices.number(slice).map(|slice| SeriesAt { slice, measure })
    }
}

/// The events that were entered and still hold, that touch a time and, if given, hold for a slice.
pub(super) fn entered(
    ledger: &Ledger,
    dimensions: &[String],
    (from_seconds, to_seconds): (i64, i64),
    slice: Option<&SliceKey>,
) -> Vec<SpecialTimeWire> {
    let known = ledger.events().iter().filter(|known| !known.is_removed()).filter(|known| {
        known.event.from_seconds < to_seconds
            && known.event.to_seconds > from_seconds
            && slice.is_none_or(|slice| known.event.entry().scope.holds(slice))
    });
    known
        .map(|known| {
            let (entry, span) = (known.event.entry(), known.event.span());
            debug_assert_eq!(span.clock, Clock::Instant, "entered events are instants");
            let listed = crate::calendar::Listed { span, entry: &entry };
            SpecialTimeWire { number: Some(known.number), ..SpecialTimeWire::of(&listed, dimensions) }
        })
        .collect()
}
