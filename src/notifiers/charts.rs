//! What notifiers draw charts from.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::pipeline::History;

/// The stored windows, and how their series are numbered.
#[derive(Clone)]
pub struct Charts {
    /// The windows.
    pub history: Arc<dyn History>,
    /// How many measures and relations a slice of each monitor has.
    pub judged: BTreeMap<String, usize>,
}

impl fmt::Debug for Charts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charts").field("judged", &self.judged).finish_non_exhaustive()
    }
}
