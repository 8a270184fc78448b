//! Templates for webhooks of no known format: minijinja for body, headers and URL.
//!
//! A template sees `alert` (the documented JSON), `incident` (short for `alert.incident`), `title`, `facts` (pairs) and
//! `notes`. Nothing is escaped by itself, since nobody knows what the result will be: `{{ title | tojson }}` makes
//! a JSON text, `{{ incident.id | urlencode }}` a part of a URL. A name that does not exist is an error.

use minijinja::{
    AutoEscape, Environment, UndefinedBehavior, context,
    value::{Serde, Value},
};

use super::render::AlertWire;

/// A template that has been read.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template; the error says where it is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.add_template_owned("template", text.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { environment })
    }

    /// The template filled in.
    pub(super) fn render(&self, alert: &AlertWire) -> Result<String, String> {
        let values = context! {
            alert => Value::from(Serde(alert)),
            incident => Value::from(Serde(&alert.incident)),
            title => alert.title(),
            facts => Value::from(Serde(alert.facts())),
            notes => alert.notes(),
        };
        let template = self.environment.get_template("template").map_err(|error| error.to_string())?;
        template.render(values).map_err(|error| error.to_string())
    }
}
