//! The list of notifiers, and each from its checked settings.

use std::sync::Arc;

use super::ServiceError;
use crate::{config::NotifierConfig, notifiers::Charts, pipeline::Notifier};
#[cfg(feature = "sns")]
use crate::{
    config::SnsConfig,
    notifiers::{Sns, SnsFormat, SnsOptions},
};
#[cfg(feature = "email")]
use crate::{
    config::{EmailConfig, EmailTls},
    notifiers::{Email, EmailOptions, EmailSecurity},
};
#[cfg(feature = "webhook")]
use crate::{
    config::{Secret, WebhookConfig},
    notifiers::{Template, Webhook, WebhookFormat, WebhookOptions, WebhookTemplates},
};

/// THE list of notifiers. Those that show charts draw them from `charts`.
#[cfg_attr(
    not(all(feature = "webhook", feature = "email", feature = "sns")),
    allow(unused_variables, reason = "a build without a notifier does not need what it is made of")
)]
pub async fn notifier(
    name: &str,
    config: NotifierConfig,
    charts: Option<Charts>,
) -> Result<Arc<dyn Notifier>, ServiceError> {
    match config {
        #[cfg(not(feature = "webhook"))]
        NotifierConfig::Webhook(_) => Err(ServiceError::NotBuilt("webhook")),
        #[cfg(feature = "webhook")]
        NotifierConfig::Webhook(config) => Ok(Arc::new(Webhook::with(webhook(name, config)?)?)),
        #[cfg(not(feature = "email"))]
        NotifierConfig::Email(_) => Err(ServiceError::NotBuilt("email")),
        #[cfg(feature = "email")]
        NotifierConfig::Email(config) => Ok(Arc::new(Email::new(email(config), charts)?)),
        #[cfg(not(feature = "sns"))]
        NotifierConfig::Sns(_) => Err(ServiceError::NotBuilt("sns")),
        #[cfg(feature = "sns")]
        NotifierConfig::Sns(config) => Ok(Arc::new(Sns::new(sns(name, config)).await)),
    }
}

#[cfg(feature = "webhook")]
fn webhook(name: &str, config: WebhookConfig) -> Result<WebhookOptions, ServiceError> {
    let exposed = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
    let key = exposed(config.key).unwrap_or_default();
    let template = |what: &str, text: &str| {
        let named = |why| ServiceError::Template { name: name.to_owned(), what: what.to_owned(), why };
        Template::parse(text).map_err(named)
    };
    let mut headers: Vec<(String, String)> =
        config.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let format = match config.format.as_str() {
        "cloudevents" => WebhookFormat::CloudEvents,
        "slack" => WebhookFormat::Slack,
        "teams" => WebhookFormat::Teams,
        "pagerduty" => WebhookFormat::PagerDuty { routing_key: key },
        "opsgenie" => WebhookFormat::Opsgenie { key },
        "alertmanager" => WebhookFormat::Alertmanager,
        "template" => WebhookFormat::Template(Box::new(WebhookTemplates {
            body: template("body", config.body.as_deref().unwrap_or_default())?,
            url: template("url", config.url.expose())?,
            headers: std::mem::take(&mut headers)
                .into_iter()
                .map(|(name, value)| Ok((name, template("headers", &value)?)))
                .collect::<Result<_, ServiceError>>()?,
        })),
        _ => WebhookFormat::Tidewatch,
    };
    Ok(WebhookOptions {
        url: config.url.expose().to_owned(),
        format,
        secret: exposed(config.secret),
        timeout: config.timeout,
        headers,
        client_certificate: exposed(config.client_certificate),
        ca: exposed(config.ca),
        link: config.link,
    })
}

#[cfg(feature = "email")]
fn email(config: EmailConfig) -> EmailOptions {
    EmailOptions {
        host: config.host,
        port: config.port,
        security: match config.tls {
            EmailTls::Starttls => EmailSecurity::Starttls,
            EmailTls::Implicit => EmailSecurity::Implicit,
            EmailTls::None => EmailSecurity::None,
        },
        login: config.login.map(|(name, password)| (name, password.expose().to_owned())),
        from: config.from,
        to: config.to,
        timeout: config.timeout,
        ca: config.ca.map(|ca| ca.expose().to_owned()),
        link: config.link,
    }
}

#[cfg(feature = "sns")]
fn sns(name: &str, config: SnsConfig) -> SnsOptions {
    SnsOptions {
        name: name.to_owned(),
        topic_arn: config.topic_arn,
        format: match config.format.as_str() {
            "lookout" => SnsFormat::Lookout,
            "text" => SnsFormat::Text,
            "sms" => SnsFormat::Sms,
            _ => SnsFormat::Tidewatch,
        },
        endpoint: config.endpoint,
        timeout: config.timeout,
        link: config.link,
    }
}
