//! The token that Amazon MSK takes for IAM credentials: a signed request to connect, good for 15 minutes, which
//! the broker passes on to AWS. Pure: credentials and time are arguments.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::login::Token;

/// The longest that MSK allows.
const GOOD_FOR: Duration = Duration::from_mins(15);
const USER_AGENT: &str = concat!("tidewatch/", env!("CARGO_PKG_VERSION"));

/// Signs a request to connect in a region.
pub(super) fn token(region: &str, credentials: &Credentials, now_millis: i64) -> Result<Token, String> {
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(GOOD_FOR);
    settings.signature_location = SignatureLocation::QueryParams;
    let now_seconds = u64::try_from(now_millis.div_euclid(1_000)).unwrap_or(0);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(UNIX_EPOCH + Duration::from_secs(now_seconds))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?;
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let signed = sign(request, &parameters.into()).map_err(|error| error.to_string())?;
    let (instructions, _) = signed.into_parts();
    let mut url = reqwest::Url::parse(&url).map_err(|error| error.to_string())?;
    url.query_pairs_mut()
        .extend_pairs(instructions.params().iter().map(|(key, value)| (*key, value.as_ref())))
        .append_pair("User-Agent", USER_AGENT);
    Ok(Token {
        text: BASE64_URL_SAFE_NO_PAD.encode(url.as_str()),
        principal: credentials.access_key_id().to_owned(),
        ends_millis: now_seconds as i64 * 1_000 + GOOD_FOR.as_millis() as i64,
    })
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};

    use super::*;

    fn keyed(key: &[u8], text: &str) -> Vec<u8> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        hmac.update(text.as_bytes());
        hmac.finalize().into_bytes().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Signature version 4 by its description, apart from the crate that the token is made with.
    fn signature(canonical_query: &str, secret: &str) -> String {
        let canonical = format!(
            "GET\n/\n{canonical_query}\nhost:kafka.eu-central-1.amazonaws.com\n\nhost\n{}",
            hex(&Sha256::digest(b""))
        );
        let scope = "20260301/eu-central-1/kafka-cluster/aws4_request";
        let text = format!(
            "AWS4-HMAC-SHA256\n20260301T000000Z\n{scope}\n{}",
            hex(&Sha256::digest(canonical.as_bytes()))
        );
        let key = ["20260301", "eu-central-1", "kafka-cluster", "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| keyed(&key, part));
        hex(&keyed(&key, &text))
    }

    #[test]
    fn the_token_is_a_presigned_request_to_connect() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session/+=".into()), None, "test");
        let token = token("eu-central-1", &credentials, 1_772_323_200_999).unwrap();
        assert_eq!(token.ends_millis, 1_772_323_200_000 + 900_000);
        let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(&token.text).unwrap()).unwrap();
        let (address, query) = url.split_once('?').unwrap();
        assert_eq!(address, "https://kafka.eu-central-1.amazonaws.com/");
        let mut pairs: Vec<&str> = query.split('&').collect();
        let agent = pairs.pop().unwrap();
        assert_eq!(agent, format!("User-Agent=tidewatch%2F{}", env!("CARGO_PKG_VERSION")));
        let at = pairs.iter().position(|pair| pair.starts_with("X-Amz-Signature=")).unwrap();
        let signed = pairs.remove(at);
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [
                "Action=kafka-cluster%3AConnect",
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Credential=AKIDEXAMPLE%2F20260301%2Feu-central-1%2Fkafka-cluster%2Faws4_request",
                "X-Amz-Date=20260301T000000Z",
                "X-Amz-Expires=900",
                "X-Amz-Security-Token=session%2F%2B%3D",
                "X-Amz-SignedHeaders=host",
            ]
        );
        assert_eq!(signed, format!("X-Amz-Signature={}", signature(&pairs.join("&"), "secret")));
    }
}
