//! The schema's versions. A store of an older version is brought forward step by step when opened; one of a
//! newer version is refused.

use rusqlite::{Connection, TransactionBehavior};

use super::sqlite::failed;
use crate::pipeline::StoreError;

/// One step per version, in order: the first makes version 1 of an empty file.
const STEPS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("instructions.sql"),
    include_str!("console.sql"),
    include_str!("revisions.sql"),
];

/// Brings the file to this build's version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let version: usize =
        transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let Some(missing) = STEPS.get(version..) else {
        return Err(StoreError::Unusable(format!(
            "the store has version {version}, this build knows versions up to {}: use a newer build",
            STEPS.len()
        )));
    };
    for step in missing {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len()).map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_becomes_current_and_stays_so() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, STEPS.len());
    }

    #[test]
    fn a_newer_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(error.to_string().starts_with("the store has version 99"), "{error}");
    }
}
