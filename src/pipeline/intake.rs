//! One batch into the open windows of every monitor, on whatever thread has time.

use std::sync::Arc;

use super::{MonitorSpec, Totals};
use crate::{
    record::{
        Decoder, Field, Inputs, REJECTS_NAMED, Receipt, RecordBatch, Reject, RejectReason, RejectSample,
    },
    window::{Intake, Outcome},
};

/// Bytes of a refused record that are kept.
const PAYLOAD_KEPT_BYTES: usize = 64 * 1024;

/// One monitor's part of a job: its windows of this partition, and what happened.
#[derive(Debug)]
pub(super) struct MonitorIntake {
    pub(super) spec: Arc<MonitorSpec>,
    pub(super) intake: Intake,
    pub(super) totals: Totals,
    pub(super) rejects: Vec<RejectSample>,
}

/// One batch and the windows it goes to.
#[derive(Debug)]
pub(super) struct IntakeJob {
    pub(super) batch: RecordBatch,
    pub(super) decoder: Decoder,
    pub(super) monitors: Vec<MonitorIntake>,
    /// One per record, if the source wants them.
    pub(super) receipts: Vec<Receipt>,
    pub(super) wants_receipts: bool,
    /// Refused events kept per batch; all are counted.
    pub(super) rejects_kept: usize,
    /// Refused records are kept whole.
    pub(super) records_kept: bool,
}

/// What all monitors together made of a row: a receipt speaks of the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Counted,
    Revised,
    OverLimit,
    Late,
    Rejected,
}

impl IntakeJob {
    /// Decodes and aggregates the batch.
    pub(super) fn run(&mut self) {
        let Self { batch, decoder, monitors, receipts, wants_receipts, rejects_kept, records_kept } = self;
        let mut row: Vec<Field<'_>> = Vec::new();
        let mut inputs = Inputs::default();
        for (record_index, record) in batch.records.iter().enumerate() {
            let mut row_index = 0;
            let mut receipt = Receipt::default();
            decoder.decode_record(record, &mut row, &mut |fields| {
                let mut fate = Fate::Counted;
                for monitor in monitors.iter_mut() {
                    let place = (record_index, row_index);
                    match monitor.take_row(&fields, &mut inputs, batch.received_millis) {
                        Ok(outcome) => fate = fate.max(outcome.into()),
                        Err(reject) => {
                            fate = Fate::Rejected;
                            if *wants_receipts && receipt.rejects.len() < REJECTS_NAMED {
                                receipt.rejects.push((row_index, reject.detail.clone()));
                            }
                            if monitor.rejects.len() < *rejects_kept {
                                let known =
                                    monitor.rejects.last().is_some_and(|last| last.record == record_index);
                                let mut sample = sample(batch, place, reject, known);
                                sample.whole = (*records_kept && !known).then(|| record.detached());
                                monitor.rejects.push(sample);
                            }
                        }
                    }
                }
                receipt.add(fate);
                row_index += 1;
            });
            if *wants_receipts {
                receipts.push(receipt);
            }
        }
    }
}

impl MonitorIntake {
    fn take_row(
        &mut self,
        fields: &Result<&[Field<'_>], Reject>,
        inputs: &mut Inputs,
        received_millis: Option<i64>,
    ) -> Result<Outcome, Reject> {
        self.totals.events += 1;
        let outcome = fields.as_ref().map_err(Clone::clone).and_then(|fields| {
            let event = self.spec.mapping.read(fields, inputs)?;
            let newest = received_millis.map(|received| received + self.spec.max_lead_millis);
            if newest.is_some_and(|newest| event.time_millis > newest) {
                return Err(Reject::new(
                    RejectReason::InTheFuture,
                    "the event's time is later than its arrival by more than `max_lead`",
                ));
            }
            Ok(self.intake.add(&self.spec.window, &event))
        });
        match &outcome {
            Ok(Outcome::Counted) => self.totals.counted += 1,
            Ok(Outcome::Waits) => self.totals.waiting += 1,
            Ok(Outcome::Late) => self.totals.late += 1,
            Ok(Outcome::AfterClose) => self.totals.after_close += 1,
            Ok(Outcome::OverLimit) => self.totals.over_limit += 1,
            Err(reject) => self.totals.rejected[reject.reason as usize] += 1,
        }
        outcome
    }
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Counted => Self::Counted,
            Outcome::Waits => Self::Revised,
            Outcome::Late | Outcome::AfterClose => Self::Late,
            Outcome::OverLimit => Self::OverLimit,
        }
    }
}

impl Receipt {
    fn add(&mut self, fate: Fate) {
        self.events += 1;
        match fate {
            Fate::Counted => self.counted += 1,
            Fate::Revised => self.revised += 1,
            Fate::OverLimit => self.over_limit += 1,
            Fate::Late => self.late += 1,
            Fate::Rejected => self.rejected += 1,
        }
    }
}

fn sample(batch: &RecordBatch, (record, row): (usize, usize), reject: Reject, known: bool) -> RejectSample {
    let payload = &batch.records[record].payload;
    let kept = if known { &[] } else { &payload[..payload.len().min(PAYLOAD_KEPT_BYTES)] };
    RejectSample {
        partition: batch.partition.to_string(),
        positions: format!("({}..{}]", batch.from_exclusive, batch.to_inclusive),
        record,
        row,
        reason: reject.reason,
        detail: match &batch.records[record].place {
            Some(place) => format!("{place}: {}", reject.detail),
            None => reject.detail,
        },
        payload: String::from_utf8_lossy(kept).into_owned(),
        whole: None,
    }
}
