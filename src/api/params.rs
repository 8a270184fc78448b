//! Query parameters, read so that every refusal names the parameter, its value and what is allowed.

use std::{collections::BTreeMap, convert::Infallible, ops::RangeInclusive};

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use jiff::Timestamp;

use super::error::ApiError;

/// The parameters of a request that have not been read yet. End with [`Params::finish`]: it refuses what
/// nobody asked for, such as a misspelt name.
#[derive(Debug)]
pub(super) struct Params(Result<Vec<(String, String)>, String>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        Ok(Self(query.map(|Query(pairs)| pairs).map_err(|rejection| rejection.body_text())))
    }
}

impl Params {
    fn pairs(&mut self) -> Result<&mut Vec<(String, String)>, ApiError> {
        self.0.as_mut().map_err(|error| ApiError::bad_request(format!("the query cannot be read: {error}")))
    }

    /// A parameter as it is.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let pairs = self.pairs()?;
        let mut found = pairs.extract_if(.., |(known, _)| known == name);
        let value = found.next().map(|(_, value)| value);
        match found.next() {
            Some(_) => Err(ApiError::bad_request(format!("parameter `{name}` is given more than once"))),
            None => Ok(value),
        }
    }

    /// A whole number within `1..=most`.
    pub(super) fn limit(&mut self, default: usize, most: usize) -> Result<usize, ApiError> {
        Ok(self.within("limit", 1..=most)?.unwrap_or(default))
    }

    /// A whole number within a range.
    pub(super) fn within(
        &mut self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            refused(name, &text, &format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A whole number from 0 on.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<usize>, ApiError> {
        let parse = |text: String| text.parse().map_err(|_| refused(name, &text, "a whole number from 0 on"));
        self.text(name)?.map(parse).transpose()
    }

    /// A severity.
    pub(super) fn severity(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let severity = text.parse().ok().filter(|severity| (0.0..=100.0).contains(severity));
        severity.map(Some).ok_or_else(|| refused(name, &text, "a number from 0 to 100"))
    }

    /// An instant, in milliseconds since the Unix epoch.
    pub(super) fn millis(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let allowed = "an RFC 3339 time such as 2026-03-01T08:26:00Z (write a `+` as %2B)";
        let time: Timestamp = text.parse().map_err(|_| refused(name, &text, allowed))?;
        Ok(Some(time.as_millisecond()))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text);
        known.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            refused(name, &text, &format!("one of {}", allowed.join(", ")))
        })
    }

    /// All parameters that begin so, by the rest of their names.
    pub(super) fn starting(&mut self, prefix: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let mut found = BTreeMap::new();
        for (name, value) in self.pairs()?.extract_if(.., |(name, _)| name.starts_with(prefix)) {
            if found.insert(name[prefix.len()..].to_owned(), value).is_some() {
                return Err(ApiError::bad_request(format!("parameter `{name}` is given more than once")));
            }
        }
        Ok(found)
    }

    /// Refuses parameters that were not read; `allowed` are those of this route.
    pub(super) fn finish(mut self, allowed: &[&str]) -> Result<(), ApiError> {
        let Some((name, _)) = self.pairs()?.first() else { return Ok(()) };
        let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        Err(ApiError::bad_request(format!("there is no parameter `{name}` here; there are: {allowed}")))
    }
}

fn refused(name: &str, value: &str, allowed: &str) -> ApiError {
    ApiError::bad_request(format!("parameter `{name}` is `{value}`; it must be {allowed}"))
}
