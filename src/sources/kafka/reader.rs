//! The thread that owns the partitions: assigns them, takes batches from all that may be read, and says in
//! what state it is. It waits while its batches are not taken, so that nothing piles up.
//!
//! The partition that is furthest behind in event time is read first, and one that is ahead of it by more
//! than `max_skew` is left alone meanwhile. That bounds the windows that are open while catching up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;

use super::{
    KafkaSourceConfig,
    client::{Consumer, Context, call_failed, explain},
    part::{Keep, Part, Trouble},
    registry::Registry,
};
use crate::{
    pipeline::{Clock, SourceError, SourceState},
    record::{Checkpoint, PartitionId, RecordBatch},
};
use tokio::time::Instant;

/// Bytes in the batches that are handed over together, at most by one batch more.
const BYTES_PER_ROUND: usize = 32 << 20;
/// How long to look for brokers again while none answers.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// A partition that had nothing for so long holds up no other.
const STALLED: Duration = Duration::from_secs(10);
/// How long the first token to log in with is waited for before brokers are asked.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);
/// How long a commit under way is waited for at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the thread has to say.
pub(super) enum Heard {
    /// Batches of different partitions, and the state after them.
    Read(Vec<RecordBatch>, SourceState),
    /// It cannot be read now; goes on trying.
    Lost(SourceError),
}

pub(super) struct Reader {
    pub(super) config: KafkaSourceConfig,
    pub(super) context: Context,
    pub(super) consumer: Arc<Consumer>,
    pub(super) checkpoint: Checkpoint,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sender: mpsc::Sender<Heard>,
    pub(super) parts: BTreeMap<PartitionId, Part>,
    /// Topics of which some partition was read before.
    pub(super) topics: BTreeSet<String>,
    pub(super) connected: bool,
    pub(super) lost: bool,
    pub(super) looked_at: Option<Instant>,
    pub(super) told: SourceState,
    /// Where new partitions start; not said yet.
    pub(super) positioned: Vec<RecordBatch>,
    /// Where the schemas of the records are.
    pub(super) registry: Option<Registry>,
}

/// The other end is gone, or there is nothing left to try.
pub(super) struct Over;

impl Reader {
    pub(super) fn run(mut self) {
        let until = Instant::now() + TOKEN_WITHIN;
        while self.context.lacks_token() && Instant::now() < until && !self.sender.is_closed() {
            drop(self.consumer.poll(Duration::from_millis(10)));
        }
        while !self.sender.is_closed() && self.turn().is_ok() {}
        let until = Instant::now() + FAREWELL;
        while !self.context.notes().commits_sent.is_empty() && Instant::now() < until {
            drop(self.consumer.poll(Duration::from_millis(10)));
        }
    }

    fn turn(&mut self) -> Result<(), Over> {
        self.serve(Duration::ZERO)?;
        let every = if self.connected && !self.lost { self.config.refresh } else { RETRY_EVERY };
        if self.looked_at.is_none_or(|looked| looked.elapsed() >= every) {
            self.look()?;
            self.looked_at = Some(Instant::now());
        }
        let (batches, held) = self.round()?;
        if batches.is_empty() {
            self.say_state()?;
            return self.serve(Duration::from_millis(if held { 1 } else { 10 }));
        }
        self.say(Heard::Read(batches, self.state()))
    }

    /// Lets the client deliver what it has beside records.
    fn serve(&mut self, wait: Duration) -> Result<(), Over> {
        match self.consumer.poll(wait) {
            Some(Err(error)) => tracing::debug!(%error, "kafka client"),
            // Every partition has a queue of its own before it is assigned.
            Some(Ok(_)) => tracing::error!("a record outside its partition's queue; it is read again"),
            None => {}
        }
        let all_down = std::mem::take(&mut self.context.notes().all_down);
        if all_down && !self.lost {
            let trouble = self.context.notes().trouble.clone();
            let (code, reason) = trouble.unwrap_or((RDKafkaErrorCode::AllBrokersDown, "no answer".into()));
            let told = explain(&self.config, &self.context, code, &reason);
            self.looked_at = Some(Instant::now());
            return self.lose(told);
        }
        Ok(())
    }

    /// Looks for partitions not read yet, which is also how a broker is found again.
    fn look(&mut self) -> Result<(), Over> {
        match self.find() {
            Ok(()) => {
                self.connected = true;
                let was_lost = std::mem::take(&mut self.lost);
                self.context.notes().trouble = None;
                let positioned = std::mem::take(&mut self.positioned);
                if was_lost || !positioned.is_empty() {
                    return self.say(Heard::Read(positioned, self.state()));
                }
                Ok(())
            }
            Err(error) => {
                // What exactly went wrong arrives beside the call.
                drop(self.consumer.poll(Duration::from_millis(50)));
                if !self.positioned.is_empty() {
                    let positioned = std::mem::take(&mut self.positioned);
                    self.say(Heard::Read(positioned, SourceState::Reading))?;
                }
                self.fail(&error)
            }
        }
    }

    pub(super) fn fail(&mut self, error: &KafkaError) -> Result<(), Over> {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) {
            let text = format!(
                "Kafka at {}: a topic of `sources.{}` does not exist ({:?})",
                self.config.brokers, self.config.name, self.config.topics
            );
            return self.lose((text, false));
        }
        if let KafkaError::Seek(text) = error {
            return self.lose((format!("Kafka at {}: {text}", self.config.brokers), true));
        }
        let told = call_failed(&self.config, &self.context, error);
        self.lose(told)
    }

    fn lose(&mut self, (text, final_): (String, bool)) -> Result<(), Over> {
        if final_ && !self.connected {
            self.say(Heard::Lost(SourceError::Unusable(text)))?;
            return Err(Over);
        }
        if std::mem::replace(&mut self.lost, true) {
            return Ok(());
        }
        self.say(Heard::Lost(SourceError::Retrying(text)))
    }

    /// A batch from each partition that may be read; `true` when some are held back.
    fn round(&mut self) -> Result<(Vec<RecordBatch>, bool), Over> {
        let (order, held) = self.readable();
        let now = self.clock.now_millis();
        let offset = self.config.letters.is_some();
        let keep = Keep { envelope: self.config.wants_envelope || offset, offset };
        let (mut batches, mut bytes, mut tombstones) = (Vec::new(), 0, 0);
        let mut gone = Vec::new();
        let mut failed = None;
        for id in order {
            if bytes >= BYTES_PER_ROUND {
                break;
            }
            let Some(part) = self.parts.get_mut(&id) else { continue };
            let (batch, empty, trouble) = part.take(keep, now);
            tombstones += empty;
            bytes += batch.as_ref().map_or(0, RecordBatch::payload_bytes);
            batches.extend(batch);
            match trouble {
                Some(Trouble::OffsetGone) => gone.push(id),
                Some(Trouble::Other(error)) => failed = Some(error),
                None => {}
            }
        }
        self.note_reached(tombstones);
        if !batches.is_empty() && (!gone.is_empty() || failed.is_some()) {
            self.say(Heard::Read(std::mem::take(&mut batches), SourceState::Reading))?;
        }
        if let Some(error) = failed {
            self.fail(&error)?;
        }
        for id in gone {
            batches.extend(self.find_again(&id)?);
        }
        Ok((batches, held))
    }

    /// Partitions in the order to read them, those too far ahead left out.
    fn readable(&self) -> (Vec<PartitionId>, bool) {
        let notes = self.context.notes();
        let newest = |id: &PartitionId| notes.newest_millis.get(id).copied();
        let behind = self.parts.values().filter(|part| !part.at_end && part.heard.elapsed() < STALLED);
        let floor = behind.map(|part| newest(&part.id).unwrap_or(i64::MIN)).min();
        let skew = self.config.max_skew.as_millis() as i64;
        let limit = floor.map_or(i64::MAX, |floor| floor.saturating_add(skew));
        let mut order: Vec<(Option<i64>, PartitionId)> = self
            .parts
            .keys()
            .map(|id| (newest(id), id.clone()))
            .filter(|(newest, _)| newest.is_none_or(|newest| newest <= limit))
            .collect();
        order.sort();
        let held = order.len() < self.parts.len();
        (order.into_iter().map(|(_, id)| id).collect(), held)
    }

    fn note_reached(&self, tombstones: u64) {
        let mut notes = self.context.notes();
        notes.tombstones += tombstones;
        for part in self.parts.values() {
            notes.reached.insert(part.id.clone(), (part.next_offset(), part.at_end));
        }
    }

    fn state(&self) -> SourceState {
        let at_end = self.parts.values().all(|part| part.at_end);
        match (self.connected, at_end) {
            (false, _) => SourceState::Starting,
            (true, true) => SourceState::CaughtUp,
            (true, false) => SourceState::Reading,
        }
    }

    fn say_state(&mut self) -> Result<(), Over> {
        let state = self.state();
        if self.lost || state == self.told { Ok(()) } else { self.say(Heard::Read(Vec::new(), state)) }
    }

    /// Puts the schemas of its records into a batch, waiting for as long as the registry is away.
    fn furnish(&mut self, batch: &mut RecordBatch) -> Result<(), Over> {
        let Some(mut registry) = self.registry.take_if(|_| !batch.records.is_empty()) else { return Ok(()) };
        let mut away = false;
        while let Err(why) = registry.furnish(batch) {
            away = true;
            self.lose((why, false))?;
            let until = Instant::now() + RETRY_EVERY;
            while Instant::now() < until {
                if self.sender.is_closed() {
                    return Err(Over);
                }
                self.serve(Duration::from_millis(50))?;
            }
        }
        if away {
            self.lost = false;
        }
        self.registry = Some(registry);
        Ok(())
    }

    /// Waits while the other side has not taken what was said before.
    fn say(&mut self, mut heard: Heard) -> Result<(), Over> {
        if let Heard::Read(batches, state) = &mut heard {
            batches.iter_mut().try_for_each(|batch| self.furnish(batch))?;
            self.told = state.clone();
        }
        self.sender.blocking_send(heard).map_err(|_| Over)
    }
}
