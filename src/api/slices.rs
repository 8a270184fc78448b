//! The slices of monitors, remembered: a chart must not read a million rows to find one number.
//!
//! Sound because slices are only ever added while a process runs, and their numbers never change.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    pipeline::{History, StoreError},
    window::{SliceKey, SliceRegistry},
};

/// What was last read of each monitor's slices.
#[derive(Debug, Default)]
pub(super) struct SliceCache(Mutex<BTreeMap<String, Arc<SliceRegistry>>>);

impl SliceCache {
    /// The number of a slice; reads the store when it is not known yet.
    pub(super) async fn number(
        &self,
        history: &dyn History,
        monitor: &str,
        key: &SliceKey,
    ) -> Result<Option<usize>, StoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(monitor).cloned();
        match known.and_then(|registry| registry.number(key)) {
            Some(number) => Ok(Some(number)),
            None => Ok(self.renew(history, monitor).await?.number(key)),
        }
    }

    /// The slices as last read; reads the store when nobody has.
    pub(super) async fn known(
        &self,
        history: &dyn History,
        monitor: &str,
    ) -> Result<Arc<SliceRegistry>, StoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(monitor).cloned();
        match known.filter(|registry| !registry.keys().is_empty()) {
            Some(registry) => Ok(registry),
            None => self.renew(history, monitor).await,
        }
    }

    /// All slices as stored now.
    pub(super) async fn renew(
        &self,
        history: &dyn History,
        monitor: &str,
    ) -> Result<Arc<SliceRegistry>, StoreError> {
        let registry = Arc::new(SliceRegistry::from_keys(history.slices(monitor).await?));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(monitor.to_owned(), registry.clone());
        Ok(registry)
    }
}
