//! The keys of a login: a name and a password, or where tokens come from.

use super::{Environment, Problem, Secret, kafka::WrittenSasl};
use crate::sources::KafkaLogin;

const PASSWORDS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// A login that can be used.
#[derive(Debug)]
pub(super) enum CheckedSasl {
    Password { user: String, password: Secret },
    Token(KafkaLogin),
}

pub(super) fn check(
    path: &str,
    written: &WrittenSasl,
    has_tls: bool,
    environment: &Environment,
) -> Result<CheckedSasl, Problem> {
    let mechanism = written.mechanism.as_str();
    let keys = [
        ("username", &written.username),
        ("password", &written.password),
        ("token_url", &written.token_url),
        ("client_id", &written.client_id),
        ("client_secret", &written.client_secret),
        ("scope", &written.scope),
        ("token_ca", &written.token_ca),
        ("region", &written.region),
    ];
    let allowed: &[&str] = match mechanism {
        "OAUTHBEARER" => &["token_url", "client_id", "client_secret", "scope", "token_ca"],
        "AWS_MSK_IAM" => &["region"],
        _ if PASSWORDS.contains(&mechanism) => &["username", "password"],
        other => {
            let detail = format!("`{other}`; expected {}, OAUTHBEARER or AWS_MSK_IAM", PASSWORDS.join(", "));
            return Err(Problem::new(format!("{path}.mechanism"), detail));
        }
    };
    if let Some((key, _)) = keys.iter().find(|(key, value)| value.is_some() && !allowed.contains(key)) {
        let detail = format!("does not go with {mechanism}; expected {}", allowed.join(", "));
        return Err(Problem::new(format!("{path}.{key}"), detail));
    }
    let at = |key: &str| format!("{path}.{key}");
    let needed = |key: &str, value: &Option<String>| {
        let text = value.as_deref().ok_or_else(|| Problem::new(at(key), format!("{mechanism} needs it")))?;
        environment.secret(&at(key), text)
    };
    let shown = |key: &str, value: &Option<String>| needed(key, value).map(|text| text.expose().to_owned());
    match mechanism {
        "OAUTHBEARER" => {
            let url = shown("token_url", &written.token_url)?;
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(Problem::new(at("token_url"), format!("`{url}`; expected http:// or https://")));
            }
            let scope = written.scope.as_ref().map(|scope| environment.expand(&at("scope"), scope));
            let ca = written.token_ca.as_ref().map(|file| {
                let file = environment.expand(&at("token_ca"), file)?;
                std::fs::read_to_string(&file).map_err(|error| {
                    Problem::new(at("token_ca"), format!("could not read `{file}`: {error}"))
                })
            });
            Ok(CheckedSasl::Token(KafkaLogin::Credentials {
                url,
                id: shown("client_id", &written.client_id)?,
                secret: shown("client_secret", &written.client_secret)?,
                scope: scope.transpose()?,
                ca: ca.transpose()?,
            }))
        }
        "AWS_MSK_IAM" => {
            if !has_tls {
                return Err(Problem::new(
                    path,
                    "AWS_MSK_IAM needs TLS; `tls = {}` trusts the system's authorities",
                ));
            }
            Ok(CheckedSasl::Token(KafkaLogin::Msk { region: shown("region", &written.region)? }))
        }
        _ => Ok(CheckedSasl::Password {
            user: shown("username", &written.username)?,
            password: needed("password", &written.password)?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, has_tls: bool) -> Result<CheckedSasl, String> {
        let written: WrittenSasl = toml::from_str(text).unwrap();
        let environment = Environment::from_pairs([("PW", "hidden")]);
        check("sasl", &written, has_tls, &environment)
            .map_err(|problem| format!("{}: {}", problem.path, problem.detail))
    }

    #[test]
    fn each_mechanism_has_keys_of_its_own() {
        let text = "mechanism = \"OAUTHBEARER\"\ntoken_url = \"http://t\"\nclient_id = \"c\"\nclient_secret = \"${PW}\"";
        let login = checked(text, false).unwrap();
        assert!(!format!("{login:?}").contains("hidden"));
        assert!(matches!(
            login,
            CheckedSasl::Token(KafkaLogin::Credentials { secret, .. }) if secret == "hidden"
        ));
        let msk = "mechanism = \"AWS_MSK_IAM\"\nregion = \"eu-central-1\"";
        assert!(matches!(checked(msk, true), Ok(CheckedSasl::Token(KafkaLogin::Msk { .. }))));
        for (text, expected) in [
            (msk, "sasl: AWS_MSK_IAM needs TLS"),
            ("mechanism = \"PLAIN\"\nusername = \"u\"", "sasl.password: PLAIN needs it"),
            (
                "mechanism = \"PLAIN\"\nregion = \"r\"",
                "sasl.region: does not go with PLAIN; expected username",
            ),
            ("mechanism = \"KERBEROS\"", "sasl.mechanism: `KERBEROS`; expected PLAIN"),
        ] {
            let problem = checked(text, false).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
