//! Reading stored windows in order of time, page by page, each window whole.

use super::{FrameBlob, History, HistoryRange, SHARD_SLICES, StoreError};

/// Blobs read at a time; a window has one per 256 slices.
const PAGE: usize = 2_000;

/// The stored windows of a monitor that start within a range.
pub(super) struct StoredWindows<'h> {
    history: &'h dyn History,
    monitor: &'h str,
    range: HistoryRange,
    is_over: bool,
}

impl<'h> StoredWindows<'h> {
    /// Windows of a monitor with so many slices.
    pub(super) fn new(
        history: &'h dyn History,
        monitor: &'h str,
        num_slices: usize,
        (from_millis, to_millis): (i64, i64),
    ) -> Self {
        // Two windows fit into a page, so that a window which the page cuts is not the only one.
        let limit = PAGE.max(2 * (num_slices.div_ceil(SHARD_SLICES) + 1));
        let range = HistoryRange { from_millis, to_millis, shard: None, limit };
        Self { history, monitor, range, is_over: false }
    }

    /// The blobs of the next windows, by start and shard; `None` at the end.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<FrameBlob>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let mut page = self.history.frames(self.monitor, self.range).await?;
        let next = page.last().map(|blob| blob.start_millis).filter(|_| page.len() == self.range.limit);
        match next {
            Some(next) => {
                // The last window may be cut by the page: it comes whole with the next one.
                page.retain(|blob| blob.start_millis != next);
                self.range.from_millis = next;
            }
            None => self.is_over = true,
        }
        Ok(Some(page))
    }
}

/// The windows of a page.
pub(super) fn windows(page: &[FrameBlob]) -> impl Iterator<Item = &[FrameBlob]> {
    page.chunk_by(|blob, next| blob.start_millis == next.start_millis)
}
