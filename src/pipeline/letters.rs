//! Refused events on their way to the dead letters: before the commit that counts them, and again until it works.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    DeadLetters, Retry, StoreError, Telemetry,
    run::backoff,
    telemetry::{LettersPostponed, LettersWritten},
};
use crate::record::RejectSample;

/// Writes refused events to all places. `false` when it was asked to stop before that worked: then nothing may
/// be committed, and their records are read again after the next start.
pub(super) async fn keep(
    places: &mut [Box<dyn DeadLetters>],
    rejects: &[RejectSample],
    (source, telemetry, pause_max): (&str, &Telemetry, Duration),
    stop: &CancellationToken,
) -> Result<bool, StoreError> {
    for letters in places.iter_mut().filter(|_| !rejects.is_empty()) {
        let mut failures = 0;
        loop {
            match letters.keep(rejects).await {
                Ok(kept) => {
                    LettersWritten { source, kept }.emit(telemetry);
                    break;
                }
                Err(error) if error.retry() != Retry::Never => {
                    LettersPostponed { source, error: &error }.emit(telemetry);
                    tokio::select! {
                        () = stop.cancelled() => return Ok(false),
                        () = tokio::time::sleep(backoff(failures, pause_max)) => {}
                    }
                    failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}
