//! Secrets: taken from the environment (`${NAME}`) or a file (`file:/run/secrets/x`), never shown.

use std::{collections::BTreeMap, fmt, path::Path};

use super::Problem;

/// A value that is masked wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be used and not kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The environment a configuration is read in: variables, and the folder that relative paths start from.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.len()).finish()
    }
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }

    /// These variables.
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self {
            variables: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Replaces each `${NAME}` in `text`.
    pub(super) fn expand(&self, path: &str, text: &str) -> Result<String, Problem> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) =
                after.split_once('}').ok_or_else(|| Problem::new(path, "`${` without `}`"))?;
            let value = self
                .variables
                .get(name)
                .ok_or_else(|| Problem::new(path, format!("environment variable `{name}` is not set")))?;
            expanded.push_str(before);
            expanded.push_str(value);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// A secret from `${NAME}` or `file:PATH`, or as written.
    pub(super) fn secret(&self, path: &str, text: &str) -> Result<Secret, Problem> {
        let text = self.expand(path, text)?;
        let Some(file) = text.strip_prefix("file:") else { return Ok(Secret(text)) };
        std::fs::read_to_string(Path::new(file))
            .map(|value| Secret(value.trim_end().to_owned()))
            .map_err(|error| Problem::new(path, format!("could not read `{file}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_files_are_read_and_nothing_is_shown() {
        let environment = Environment::from_pairs([("A", "1"), ("B", "2")]);
        assert_eq!(environment.expand("x", "a${A}b${B}c").unwrap(), "a1b2c");
        assert!(environment.expand("x", "${C}").is_err());
        assert!(environment.expand("x", "${A").is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hidden\n").unwrap();
        let secret = environment.secret("x", &format!("file:{}", file.path().display())).unwrap();
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("hidden", "***"));
    }
}
