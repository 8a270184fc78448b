//! The bytes of a post: as they came, or decompressed within the limit.

use std::io::Read;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::error::ApiError;

/// The bytes of a body, read once the sender is known.
pub(super) async fn read(request: Request, bytes_max: usize) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(bytes_max),
        _ => rejection.into(),
    })
}

/// The plain body of a post; at most `bytes_max` long, and not blank.
pub(super) async fn plain(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, ApiError> {
    let plain = decoded(headers, body, bytes_max).await?;
    if plain.iter().all(u8::is_ascii_whitespace) {
        let error = "the body is empty; send a JSON array of events, one object, or one object per line";
        return Err(ApiError::bad_request(error));
    }
    Ok(plain)
}

/// The body as it came, or decompressed; at most `bytes_max` long.
pub(super) async fn decoded(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, ApiError> {
    if is_gzip(headers)? {
        return tokio::task::spawn_blocking(move || gunzip(&body, bytes_max)).await?;
    }
    if body.len() > bytes_max { Err(ApiError::too_large(bytes_max)) } else { Ok(body) }
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
    let plain = gunzip_to(body, bytes_max + 1)
        .map_err(|error| ApiError::bad_request(format!("the body is not gzip: {error}")))?;
    if plain.len() > bytes_max { Err(ApiError::too_large(bytes_max)) } else { Ok(plain.into()) }
}

/// Decompresses so many bytes at most.
pub(super) fn gunzip_to(body: &[u8], most: usize) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(body).take(most as u64).read_to_end(&mut plain)?;
    Ok(plain)
}
