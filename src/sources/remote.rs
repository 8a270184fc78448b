//! Inputs at an address: objects of S3, and whatever a web server hands out. Read as a stream, some parts ahead.

use std::io::Read;

use super::s3::S3Place;
use crate::pipeline::SourceError;

/// A stream, and how many bytes it has if that is known.
pub(super) type Opened = (Box<dyn Read + Send>, Option<u64>);

/// Whether this names something on another machine.
pub fn is_url(path: &str) -> bool {
    ["s3://", "http://", "https://"].iter().any(|scheme| path.starts_with(scheme))
}

/// The objects that an address with `*`, `?` or `[` in it means, or that lie under one that ends in `/`, by name; any
/// other address means itself.
pub async fn find_objects(url: &str) -> Result<Vec<String>, SourceError> {
    let Some(place) = S3Place::parse(url) else { return Ok(vec![url.to_owned()]) };
    let first = place.key.find(['*', '?', '[']);
    if first.is_none() && !place.key.ends_with('/') {
        return Ok(vec![url.to_owned()]);
    }
    let mut found = reach::keys(&place, &place.key[..first.unwrap_or(place.key.len())]).await?;
    if first.is_some() {
        let pattern = glob::Pattern::new(&place.key)
            .map_err(|error| SourceError::Unusable(format!("`{url}`: {error}")))?;
        // As in paths of files, `*` stays within its folder.
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        found.retain(|key| pattern.matches_with(key, options));
    }
    found.sort_unstable();
    if found.is_empty() {
        return Err(SourceError::Unusable(format!("`{url}`: matches no object")));
    }
    Ok(found.into_iter().map(|key| format!("s3://{}/{key}", place.bucket)).collect())
}

#[cfg(not(feature = "s3"))]
mod reach {
    use super::{Opened, S3Place, SourceError};

    fn not_built() -> SourceError {
        SourceError::Unusable("this build reads no addresses; build it with `--features s3`".to_owned())
    }

    #[allow(clippy::unused_async, reason = "asks others in builds that can")]
    pub(in crate::sources) async fn open(_: &str) -> Result<Opened, SourceError> {
        Err(not_built())
    }

    #[allow(clippy::unused_async, reason = "asks others in builds that can")]
    pub(super) async fn keys(_: &S3Place, _: &str) -> Result<Vec<String>, SourceError> {
        Err(not_built())
    }
}

pub(super) use reach::open;

#[cfg(feature = "s3")]
mod reach {
    use std::{
        io::{self, Read},
        time::Duration,
    };

    use bytes::{Buf, Bytes};
    use reqwest::{Client, Response, StatusCode, header::RANGE};
    use tokio::sync::mpsc;

    use super::{Opened, S3Place, SourceError};
    use crate::sources::s3::Bucket;

    /// Bytes of an object that are asked for at a time.
    const PART_BYTES: u64 = 4 << 20;
    /// Parts that wait to be read.
    const PARTS_AHEAD: usize = 4;
    /// How often a connection may break before that is the end.
    const BREAKS_MAX: u32 = 5;
    /// How long a server may say nothing.
    const SILENCE: Duration = Duration::from_mins(1);

    /// What a task reads ahead. Blocks, so it is for threads that may.
    struct Stream {
        parts: mpsc::Receiver<io::Result<Bytes>>,
        part: Bytes,
    }

    impl Read for Stream {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            while self.part.is_empty() {
                match self.parts.blocking_recv() {
                    Some(part) => self.part = part?,
                    None => return Ok(0),
                }
            }
            let count = self.part.len().min(buffer.len());
            self.part.copy_to_slice(&mut buffer[..count]);
            Ok(count)
        }
    }

    /// The bytes at an address, and how many there are if that is known. An error names the address.
    pub(in crate::sources) async fn open(url: &str) -> Result<Opened, SourceError> {
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        let bytes = if let Some(place) = S3Place::parse(url) {
            let bucket = Bucket::connect(&place.bucket, None, None).await?;
            let size = bucket.size(&place.key).await?;
            let size = size.ok_or_else(|| SourceError::Unusable(format!("no object `{url}`")))?;
            tokio::spawn(pump_object(bucket, place.key, size, sender));
            Some(size)
        } else {
            let unusable = |error: reqwest::Error| {
                SourceError::Unusable(format!("could not read `{url}`: {}", why(&error)))
            };
            let client = Client::builder().read_timeout(SILENCE).build().map_err(unusable)?;
            let response = client.get(url).send().await.map_err(unusable)?;
            if response.status() != StatusCode::OK {
                return Err(SourceError::Unusable(format!("could not read `{url}`: {}", response.status())));
            }
            let bytes = response.content_length();
            tokio::spawn(pump_url(client, response, sender));
            bytes
        };
        Ok((Box::new(Stream { parts, part: Bytes::new() }), bytes))
    }

    pub(super) async fn keys(place: &S3Place, prefix: &str) -> Result<Vec<String>, SourceError> {
        let bucket = Bucket::connect(&place.bucket, None, None).await?;
        let (mut keys, mut page) = (Vec::new(), None);
        loop {
            let listed = bucket.list(prefix, page.take()).await?;
            keys.extend(listed.objects.into_iter().map(|object| object.key));
            page = listed.next;
            if page.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Ends when nobody reads on, too.
    async fn pump_object(bucket: Bucket, key: String, size: u64, sender: mpsc::Sender<io::Result<Bytes>>) {
        let mut from = 0;
        while from < size {
            let to = size.min(from + PART_BYTES);
            let part = bucket.part(&key, from..to).await.map_err(|error| broken(&error));
            let failed = part.is_err();
            if sender.send(part).await.is_err() || failed {
                return;
            }
            from = to;
        }
    }

    async fn pump_url(client: Client, mut response: Response, sender: mpsc::Sender<io::Result<Bytes>>) {
        let url = response.url().clone();
        let (mut done, mut breaks) = (0, 0);
        loop {
            let error = match response.chunk().await {
                Ok(None) => return,
                Ok(Some(part)) => {
                    done += part.len() as u64;
                    if sender.send(Ok(part)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => why(&error),
            };
            breaks += 1;
            let again = client.get(url.clone()).header(RANGE, format!("bytes={done}-")).send().await;
            match again {
                // A server that begins again from the start cannot be gone on with.
                Ok(again) if again.status() == StatusCode::PARTIAL_CONTENT && breaks < BREAKS_MAX => {
                    response = again;
                }
                _ => {
                    let text = format!("the connection broke after {done} bytes: {error}");
                    drop(sender.send(Err(broken(&text))).await);
                    return;
                }
            }
        }
    }

    /// Of a kind that tells it from damage.
    fn broken(error: &impl std::fmt::Display) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string())
    }

    /// The innermost cause, without the address, which may hold a signature.
    fn why(error: &reqwest::Error) -> String {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        cause.to_string()
    }
}
