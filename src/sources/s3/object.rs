//! The rows of one object, whatever it is packed in.

use bytes::{Buf, Bytes};

use super::{S3Format, S3SourceConfig};
#[cfg(feature = "parquet")]
use crate::record::ParquetRows;
use crate::{
    record::Record,
    sources::{chunks::RowReader, packed::unpack},
};

/// One object being read.
pub(super) struct ObjectRows {
    rows: Rows,
    header: Option<Bytes>,
}

enum Rows {
    Text(RowReader),
    #[cfg(feature = "parquet")]
    Parquet(ParquetRows),
}

/// Some rows of an object.
pub(super) struct Chunk {
    pub(super) records: Vec<Record>,
    /// Nothing follows.
    pub(super) ended: bool,
    /// Why nothing follows although the object has not come to its end.
    pub(super) broken: Option<String>,
}

impl ObjectRows {
    /// Reads the header if there is one, and passes by rows that were read before. The error says what is wrong with
    /// the object.
    pub(super) async fn open(bytes: Bytes, config: &S3SourceConfig, skip: u64) -> Result<Self, String> {
        let mut object = match &config.format {
            S3Format::Rows(format) => {
                let (input, _) = unpack(bytes.reader()).map_err(|error| error.to_string())?;
                let mut reader = RowReader::over(input, format.row_split(), config.record_bytes_max);
                let header = if format.has_header() {
                    reader.next_row().await.map_err(|error| error.to_string())?
                } else {
                    None
                };
                Self { rows: Rows::Text(reader), header }
            }
            #[cfg(feature = "parquet")]
            S3Format::Parquet => {
                let rows = ParquetRows::open(bytes, &config.fields).map_err(|error| error.to_string())?;
                Self { rows: Rows::Parquet(rows), header: None }
            }
            #[cfg(not(feature = "parquet"))]
            S3Format::Parquet => {
                return Err("this build has no `parquet`; build it with `--features parquet`".to_owned());
            }
        };
        let mut left = skip;
        while left > 0 {
            let chunk = object.next(left.min(10_000) as usize).await;
            if chunk.ended {
                break;
            }
            left -= chunk.records.len() as u64;
        }
        Ok(object)
    }

    /// The header row of this object.
    pub(super) fn header(&self) -> Option<&Bytes> {
        self.header.as_ref()
    }

    /// So many rows, fewer only at the end or before damage.
    pub(super) async fn next(&mut self, most: usize) -> Chunk {
        let mut chunk = Chunk { records: Vec::new(), ended: false, broken: None };
        while chunk.records.len() < most && !chunk.ended {
            match self.some(most - chunk.records.len()).await {
                Ok((records, ended)) => {
                    chunk.records.extend(records);
                    chunk.ended = ended;
                }
                Err(why) => {
                    chunk.ended = true;
                    chunk.broken = Some(why);
                }
            }
        }
        chunk
    }

    async fn some(&mut self, most: usize) -> Result<(Vec<Record>, bool), String> {
        match &mut self.rows {
            Rows::Text(reader) => {
                let records = reader.next_rows(most).await.map_err(|error| error.to_string())?;
                Ok((records, reader.ended()))
            }
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => {
                let rows = tokio::task::block_in_place(|| rows.next_rows(most))
                    .map_err(|error| error.to_string())?;
                let ended = rows.is_empty();
                Ok((rows.into_iter().map(Record::new).collect(), ended))
            }
        }
    }
}
