//! Idempotency keys under way.
//!
//! Looking up a stored receipt and handing over a post are two steps. A key is held through both and until
//! the post is stored, so that a repetition either waits its turn or finds the receipt, and is never
//! stored a second time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::record::SourceId;

type Keys = BTreeSet<(SourceId, Arc<str>)>;

/// The keys under way, of all sources. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct KeysInFlight(Arc<Mutex<Keys>>);

/// Holds a key until dropped.
#[derive(Debug)]
pub(super) struct HeldKey {
    keys: KeysInFlight,
    held: (SourceId, Arc<str>),
}

impl KeysInFlight {
    /// Holds a key; `None` when somebody else does.
    pub(super) fn hold(&self, source: &SourceId, key: &Arc<str>) -> Option<HeldKey> {
        let held = (source.clone(), key.clone());
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(held.clone());
        fresh.then(|| HeldKey { keys: self.clone(), held })
    }
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_once_per_source_and_freed_when_dropped() {
        let keys = KeysInFlight::default();
        let (clicks, shop) = (SourceId::new("clicks"), SourceId::new("shop"));
        let key: Arc<str> = "a".into();
        let held = keys.hold(&clicks, &key).unwrap();
        assert!(keys.hold(&clicks, &key).is_none());
        assert!(keys.hold(&shop, &key).is_some());
        drop(held);
        assert!(keys.hold(&clicks, &key).is_some());
    }
}
