//! Carrying out what people ask of a monitor. Pure: the same instructions at the same places do the same.

use std::collections::BTreeSet;

use tidewatch_detectors::{Feedback, Said};

use super::{
    Ask, EnteredEvent, FeedbackFigures, GivenFeedback, Instructed, Instruction, Label, MissedIncident,
    Models, Monitor, Refused, SaidTo, SeriesAt, ledger::REACH_MAX,
};
use crate::calendar::EntryKind;

impl Monitor {
    /// Carries out an instruction between two windows; the next one is judged under it. Series whose past it
    /// changes wait for [`super::relearn`].
    pub(super) fn instruct(&mut self, instruction: &Instruction) -> Result<Instructed, Refused> {
        let after_millis = self.windows.next_start().unwrap_or(i64::MIN);
        let (mut said, mut held) = (Vec::new(), Vec::new());
        match &instruction.ask {
            Ask::Feedback(feedback) => said = self.hear_feedback(feedback, after_millis)?,
            Ask::Missed(missed) => {
                said = self.hear_missed(missed)?;
                held.push(missed.series);
            }
            ask @ (Ask::Event(_) | Ask::Events { .. }) => {
                let all = ask.entered().iter().flat_map(|event| self.held_by(event, after_millis));
                held = all.collect::<BTreeSet<SeriesAt>>().into_iter().collect();
            }
            Ask::Undo { number } => self.ledger.check_undo(*number)?,
            Ask::Acknowledge { incident } => {
                let alerts = self.book.acknowledge(&self.spec.facts, incident, after_millis);
                self.pending.alerts.extend(alerts);
            }
            Ask::Mute { incident, mute } => {
                if let Some(changed) = self.book.mute(incident, *mute) {
                    self.pending.incidents.insert(changed.id.clone(), changed);
                }
            }
            Ask::Assign { .. } | Ask::Note { .. } => {}
        }
        let number = self.ledger.next_number();
        let row = Instructed { number, after_millis, instruction: instruction.clone(), said, held };
        self.anew.extend(self.ledger.push(&row));
        self.models.note_heard(number);
        self.pending.instructed.push(row.clone());
        Ok(row)
    }

    fn hear_feedback(&mut self, feedback: &GivenFeedback, after_millis: i64) -> Result<Vec<SaidTo>, Refused> {
        if feedback.expires_millis.is_some_and(|expires| expires <= after_millis) {
            return Err(Refused::Expired);
        }
        for target in &feedback.targets {
            self.check(target.series)?;
        }
        let reached = feedback.reach(self.num_slices(), self.spec.window.measures.len());
        if reached.len() > REACH_MAX {
            return Err(Refused::TooMany { found: reached.len(), most: REACH_MAX });
        }
        let mut said = Vec::new();
        for (series, own) in reached {
            let slice = &self.windows.registry().keys()[series.slice];
            let expires = feedback.expires_millis.map(|millis| self.spec.zones.civil_seconds(slice, millis));
            let words = feedback.words(own, expires);
            if let Some(word) = words.into_iter().find(|word| self.models.hear(series, word)) {
                said.push(SaidTo { series, said: word });
            }
        }
        Ok(said)
    }

    fn hear_missed(&mut self, missed: &MissedIncident) -> Result<Vec<SaidTo>, Refused> {
        self.check(missed.series)?;
        let said: Said = Feedback::Missed { side: missed.side }.into();
        let heard = self.models.hear(missed.series, &said);
        Ok(heard.then_some(SaidTo { series: missed.series, said }).into_iter().collect())
    }

    /// The series that unlearn the part of an outage that is over; none where they are too many.
    fn held_by(&self, event: &EnteredEvent, after_millis: i64) -> Vec<SeriesAt> {
        if event.kind != EntryKind::Outage || event.from_seconds.saturating_mul(1000) >= after_millis {
            return Vec::new();
        }
        let scope = event.entry().scope;
        let slices = self.windows.registry().keys().iter().enumerate();
        let slices = slices.filter(|(_, key)| scope.holds(key)).map(|(slice, _)| slice);
        let measures = 0..self.spec.window.measures.len();
        let held: Vec<SeriesAt> = slices
            .flat_map(|slice| measures.clone().map(move |measure| SeriesAt { slice, measure }))
            .take(REACH_MAX + 1)
            .collect();
        if held.len() > REACH_MAX { Vec::new() } else { held }
    }

    fn check(&self, series: SeriesAt) -> Result<(), Refused> {
        let kept = series.slice < self.num_slices() && series.measure < self.spec.window.measures.len();
        if kept { Ok(()) } else { Err(Refused::NoSeries) }
    }

    fn num_slices(&self) -> usize {
        // A slice that was admitted has series from its first closed window on.
        self.models.num_series() / self.spec.window.measures.len().max(1)
    }

    /// Models of the series that must be learned anew, without any past; `None` when there are none.
    pub(super) fn models_anew(&self) -> Option<Models> {
        let slices = self.windows.registry().keys();
        (!self.anew.is_empty()).then(|| self.spec.models().only(&self.anew, slices))
    }

    /// Takes over what [`Monitor::models_anew`] has learned.
    pub(super) fn take_anew(&mut self, models: Models) {
        self.models.take_over(models, &std::mem::take(&mut self.anew));
    }

    /// How people judged the incidents that were told of late.
    pub(super) fn feedback_figures(&self) -> FeedbackFigures {
        let mut figures = FeedbackFigures { missed: self.ledger.num_missed(), ..FeedbackFigures::default() };
        for incident in self.realised.ids() {
            figures.told += 1;
            figures.answered += usize::from(self.ledger.is_answered(incident));
            if let Some(label) = self.ledger.label(incident) {
                let index = Label::ALL.iter().position(|known| *known == label).unwrap_or_default();
                figures.labels[index] += 1;
            }
        }
        figures
    }
}
