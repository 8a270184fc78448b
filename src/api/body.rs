//! The bytes of a post: as they came, or decompressed within the limit.

use std::io::Read;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::error::ApiError;

/// The plain body of a post; at most `bytes_max` long, and not blank.
pub(super) async fn plain(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, ApiError> {
    let plain = if is_gzip(headers)? {
        tokio::task::spawn_blocking(move || gunzip(&body, bytes_max)).await??
    } else {
        body
    };
    if plain.iter().all(u8::is_ascii_whitespace) {
        let error = "the body is empty; send a JSON array of events, one object, or one object per line";
        return Err(ApiError::bad_request(error));
    }
    Ok(plain)
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(true),
        "identity" | "" => Ok(false),
        other => {
            Err(ApiError::unsupported(format!("Content-Encoding is `{other}`; it must be gzip or left out")))
        }
    }
}

/// Decompresses, but never more than one byte over the limit.
fn gunzip(body: &[u8], bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(body)
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| ApiError::bad_request(format!("the body is not gzip: {error}")))?;
    if plain.len() > bytes_max { Err(ApiError::too_large(bytes_max)) } else { Ok(plain.into()) }
}
