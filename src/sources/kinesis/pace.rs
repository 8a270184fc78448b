//! When a shard may be asked again: five calls and 2 MB a second for each shard, whoever asks; longer pauses,
//! drawn at random, after trouble. Pure: time goes in as durations, chance as a number.

use std::time::Duration;

/// Calls of GetRecords that a shard answers a second, shared by all that read it.
const CALLS_PER_SECOND: u32 = 5;
/// Bytes that a shard gives a second.
const BYTES_PER_SECOND: f64 = (2 << 20) as f64;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// After an answer of so many bytes. `idle` is how long to wait when nothing more was there.
pub(super) fn after_answer(num_bytes: usize, at_end: bool, idle: Duration) -> Duration {
    let for_bytes = Duration::from_secs_f64(num_bytes as f64 / BYTES_PER_SECOND);
    let for_calls = Duration::from_secs(1) / CALLS_PER_SECOND;
    let least = for_bytes.max(for_calls);
    if at_end { least.max(idle) } else { least }
}

/// After the `failures`-th failure in a row, from 1: from a half to the whole of a pause that doubles.
pub(super) fn after_failure(failures: u32, random: u64) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << failures.clamp(1, 10)).min(LONGEST_PAUSE);
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    most.mul_f64(0.5 + share / 2.0)
}

/// The next number of a series that looks random; never from 0.
pub(super) fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(1);

    #[test]
    fn the_limits_of_a_shard_are_kept() {
        assert_eq!(after_answer(1_000, false, IDLE), Duration::from_millis(200));
        assert_eq!(after_answer(10 << 20, false, IDLE), Duration::from_secs(5));
        assert_eq!(after_answer(0, true, IDLE), IDLE);
        assert_eq!(after_answer(0, true, Duration::ZERO), Duration::from_millis(200));
    }

    #[test]
    fn pauses_grow_differ_and_have_an_end() {
        let mut state = 7;
        for failures in 1..40 {
            let (random, other) = (next_random(&mut state), next_random(&mut state));
            let pause = after_failure(failures, random);
            assert_ne!(pause, after_failure(failures, other));
            assert!(pause >= FIRST_PAUSE && pause <= LONGEST_PAUSE, "{failures}: {pause:?}");
        }
        assert!(after_failure(3, u64::MAX) > after_failure(2, u64::MAX));
    }
}
