//! Which partitions there are, and where each is read on.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use super::{KafkaSourceConfig, KafkaStart, KafkaTopics, client::Consumer};

/// For one question to the broker.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Where a partition is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With the record at this offset.
    Next(i64),
    /// The broker has deleted the records from the wanted one up to this, which is now its first.
    Lost { first: i64 },
    /// The broker's partition ends here, before what was already read.
    Shorter { end: i64 },
}

/// All partitions to read.
pub(super) fn discover(
    consumer: &Consumer,
    config: &KafkaSourceConfig,
) -> KafkaResult<BTreeSet<(String, i32)>> {
    let mut found = BTreeSet::new();
    let mut add = |topic: Option<&str>| -> KafkaResult<()> {
        let metadata = consumer.fetch_metadata(topic, PATIENCE)?;
        for topic in metadata.topics().iter().filter(|topic| config.topics.contains(topic.name())) {
            if let Some(error) = topic.error() {
                return Err(KafkaError::MetadataFetch(code(error)));
            }
            let numbers =
                topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id()));
            found.extend(numbers);
        }
        Ok(())
    };
    match &config.topics {
        KafkaTopics::Pattern(_) => add(None)?,
        KafkaTopics::Named(names) => names.iter().try_for_each(|name| add(Some(name)))?,
    }
    Ok(found)
}

fn code(error: RDKafkaRespErr) -> RDKafkaErrorCode {
    error.into()
}

/// Where a partition goes on whose next wanted offset is `next`.
pub(super) fn go_on(consumer: &Consumer, topic: &str, partition: i32, next: i64) -> KafkaResult<Place> {
    let (first, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
    Ok(place(next, first, end))
}

fn place(next: i64, first: i64, end: i64) -> Place {
    match next {
        next if next < first => Place::Lost { first },
        next if next > end => Place::Shorter { end },
        next => Place::Next(next),
    }
}

/// The first offset to read of a partition that was never read. One that appeared in a topic that is being
/// read already starts at its beginning: whatever it holds is new.
pub(super) fn begin(
    consumer: &Consumer,
    (topic, partition): (&str, i32),
    start: KafkaStart,
    now_millis: i64,
) -> KafkaResult<i64> {
    let millis = match start {
        KafkaStart::Earliest => return Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.0),
        KafkaStart::Latest => return Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.1),
        KafkaStart::At(millis) => millis,
        KafkaStart::Back(back) => now_millis - back.as_millis() as i64,
    };
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, partition, Offset::Offset(millis.max(0)))?;
    let answered = consumer.offsets_for_times(asked, PATIENCE)?;
    match answered.find_partition(topic, partition).map(|element| (element.error(), element.offset())) {
        Some((Err(error), _)) => Err(error),
        Some((Ok(()), Offset::Offset(offset))) => Ok(offset),
        // No record is that young.
        _ => Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_gone_is_never_jumped_over_silently() {
        assert_eq!(place(5, 0, 9), Place::Next(5));
        assert_eq!(place(9, 0, 9), Place::Next(9));
        assert_eq!(place(5, 7, 9), Place::Lost { first: 7 });
        assert_eq!(place(5, 0, 3), Place::Shorter { end: 3 });
    }
}
