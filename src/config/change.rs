//! A change of one monitor's tables in the files of a configuration: tried as a whole before anything is written.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use toml_edit::DocumentMut;

use super::{
    Config, ConfigError, ConfigFile, ConfigFiles, Environment, Problem, edit,
    files::parse,
    merge::{self, Place, Texts},
};

/// What is to be changed of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// All its tables, as text.
    Text(String),
    /// Some keys, named from its table on; `null` takes one out.
    Keys(Vec<(String, Json)>),
}

/// Where a monitor is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorText {
    /// The file.
    pub path: PathBuf,
    /// The monitor's own tables, as written.
    pub text: String,
    /// Changes with everything that the file says.
    pub revision: String,
    /// More files with tables of the monitor: none, or it cannot be changed as one text.
    pub also: Vec<PathBuf>,
}

/// Something wrong in a monitor's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextProblem {
    /// The key, where one is meant.
    pub key: Option<String>,
    /// The line of the monitor's own text, where one is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// A change that was tried.
#[derive(Debug)]
pub struct Tried {
    /// The monitor's tables with the change.
    pub text: String,
    /// The file with it.
    pub file: ConfigFile,
    /// The whole configuration with it, or what is wrong.
    pub outcome: Result<Config, Vec<TextProblem>>,
}

/// The part of the configuration that is the monitor's own text, among names of files.
const OWN: &str = "";

impl ConfigFiles {
    /// Where a monitor is written; `None` when nowhere. Files that are no TOML are passed over.
    pub fn monitor(&self, name: &str) -> Option<MonitorText> {
        let documents = self.files().iter().filter_map(|file| Some((file, edit::document(&file.text).ok()?)));
        let mut homes = documents.filter(|(_, document)| edit::holds(document, name));
        let (file, document) = homes.next()?;
        Some(MonitorText {
            path: file.path.clone(),
            text: edit::cut(&document, name)?,
            revision: revision(&file.text),
            also: homes.map(|(file, _)| file.path.clone()).collect(),
        })
    }

    /// Tries a change of a monitor that is written in one file.
    pub fn change(
        &self,
        name: &str,
        home: &MonitorText,
        change: &Change,
        environment: &Environment,
    ) -> Tried {
        let file = self.files().iter().find(|file| file.path == home.path);
        let file =
            file.cloned().unwrap_or_else(|| ConfigFile { path: home.path.clone(), text: String::new() });
        let refused = |text: String, problems| Tried { text, file: file.clone(), outcome: Err(problems) };
        let own = match change {
            Change::Text(text) => own_tables(name, text, &[]).map_err(|problems| (text.clone(), problems)),
            Change::Keys(keys) => with_keys(name, &home.text, keys)
                .map_err(|problem| (home.text.clone(), vec![TextProblem::from(problem)])),
        };
        let own = match own {
            Ok(own) => own,
            Err((text, problems)) => return refused(text, problems),
        };
        let text = match change {
            Change::Text(text) => text.clone(),
            Change::Keys(_) => own.to_string(),
        };
        let Ok(document) = edit::document(&file.text) else {
            return refused(text, vec![TextProblem::plain(format!("`{}` is no TOML", file.path.display()))]);
        };
        let Some(changed) = edit::with(&document, name, &own) else {
            return refused(
                text,
                vec![TextProblem::plain("the monitor cannot be put into its file".to_owned())],
            );
        };
        let rest = edit::without(&document, name);
        let outcome = self.parse_with(&file.path, &rest, &text, environment);
        Tried { text, outcome, file: ConfigFile { text: changed, ..file } }
    }

    /// Tries a new monitor, with a source of its own if it needs one.
    pub fn add(&self, name: &str, text: &str, environment: &Environment) -> Tried {
        let file = if self.is_folder() {
            ConfigFile { path: self.root().join(format!("{name}.toml")), text: text.to_owned() }
        } else {
            let known = self.files().first().map_or("", |file| file.text.as_str());
            ConfigFile { path: self.root().to_owned(), text: edit::appended(known, text) }
        };
        let outcome = match own_tables(name, text, &["sources"]) {
            Err(problems) => Err(problems),
            Ok(_) if self.monitor(name).is_some() => {
                Err(vec![TextProblem::plain(format!("there is a monitor `{name}` already"))])
            }
            Ok(_) if self.is_folder() && self.files().iter().any(|known| known.path == file.path) => {
                let path = file.path.display();
                Err(vec![TextProblem::plain(format!("there is a file `{path}` already"))])
            }
            Ok(_) => self.parse_with(Path::new(OWN), "", text, environment),
        };
        Tried { text: text.to_owned(), file, outcome }
    }

    /// Checks these files with a monitor's own text beside what is left of the file it is in.
    fn parse_with(
        &self,
        home: &Path,
        rest: &str,
        own: &str,
        environment: &Environment,
    ) -> Result<Config, Vec<TextProblem>> {
        let mut texts = vec![(Some(PathBuf::from(OWN)), own)];
        for file in self.files() {
            let text = if file.path == home { rest } else { &file.text };
            texts.push((Some(file.path.clone()), text));
        }
        match parse(&Texts::new(texts), environment) {
            Ok((config, _)) => Ok(config),
            Err(ConfigError::Form { message, place }) => Err(vec![TextProblem::at(None, message, place)]),
            Err(ConfigError::Values(problems)) => Err(problems.into_iter().map(TextProblem::from).collect()),
            Err(other) => Err(vec![TextProblem::plain(other.to_string())]),
        }
    }
}

impl TextProblem {
    fn plain(message: String) -> Self {
        Self { key: None, line: None, message }
    }

    /// Lines of other files are not told: in the monitor's own file they are others while its text is apart.
    fn at(key: Option<String>, message: String, place: Option<Place>) -> Self {
        match place {
            Some(Place { file: Some(file), line }) if file.as_os_str() == OWN => {
                Self { key, line: Some(line), message }
            }
            Some(Place { file: Some(file), .. }) => {
                Self { key, line: None, message: format!("{message} (in `{}`)", file.display()) }
            }
            _ => Self { key, line: None, message },
        }
    }
}

impl From<Problem> for TextProblem {
    fn from(problem: Problem) -> Self {
        Self::at(Some(problem.path), problem.detail, problem.place)
    }
}

/// The line of a text in which a key is written, or else the table around it.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let texts = Texts::new(vec![(None, text)]);
    let document = texts.merge().ok()?;
    let offset = merge::nearest(&merge::offsets(document.get_ref()), key)?;
    texts.place(offset).map(|place| place.line)
}

/// A text that holds tables of one monitor, and of nothing else but these rooms.
fn own_tables(name: &str, text: &str, also: &[&str]) -> Result<DocumentMut, Vec<TextProblem>> {
    let texts = Texts::new(vec![(Some(PathBuf::from(OWN)), text)]);
    let document = texts.merge();
    let document = document.map_err(|(message, place)| vec![TextProblem::at(None, message, place)])?;
    let offsets = merge::offsets(document.get_ref());
    let own = edit::document(text).map_err(|why| vec![TextProblem::plain(why)])?;
    let strange = |key: String| {
        let place = merge::nearest(&offsets, &key).and_then(|offset| texts.place(offset));
        TextProblem::at(Some(key), format!("does not belong to the monitor `{name}`"), place)
    };
    let mut problems: Vec<TextProblem> = edit::strangers(&own, name, also).into_iter().map(strange).collect();
    if problems.is_empty() && !edit::holds(&own, name) {
        problems.push(TextProblem::plain(format!("there is no table [monitors.{name}]")));
    }
    if problems.is_empty() { Ok(own) } else { Err(problems) }
}

fn with_keys(name: &str, text: &str, keys: &[(String, Json)]) -> Result<DocumentMut, Problem> {
    let mut own = edit::document(text).map_err(|why| Problem::new(format!("monitors.{name}"), why))?;
    edit::set(&mut own, name, keys)?;
    Ok(own)
}

/// A short number that changes with the text.
fn revision(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHOP: &str = "[monitors.shop]\nsource = \"clicks\"\ntimestamp = \"at\"\ninterval = \"5m\"\n\n\
                        [monitors.shop.measures]\nviews = { count = true } # all of them\n";
    const CLICKS: &str = "[sources.clicks]\nkind = \"http\"\n";

    fn folder() -> (tempfile::TempDir, ConfigFiles) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clicks.toml"), CLICKS).unwrap();
        std::fs::write(folder.path().join("shop.toml"), format!("# Ours.\n{SHOP}")).unwrap();
        let files = ConfigFiles::read(folder.path()).unwrap();
        (folder, files)
    }

    fn keys(keys: &[(&str, Json)]) -> Change {
        Change::Keys(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    #[test]
    fn a_change_is_tried_with_all_files_and_complaints_name_lines_of_the_text() {
        let (folder, files) = folder();
        let home = files.monitor("shop").unwrap();
        assert_eq!((home.path.clone(), home.also.len()), (folder.path().join("shop.toml"), 0));
        let try_out = |change: &Change| files.change("shop", &home, change, &Environment::default());
        let tried = try_out(&keys(&[("severity", json!(75)), ("interval", json!("10m"))]));
        assert!(tried.outcome.is_ok(), "{:?}", tried.outcome);
        assert!(
            tried.text.contains("interval = \"10m\"") && tried.text.contains("severity = 75"),
            "{}",
            tried.text
        );
        assert!(tried.file.text.starts_with("# Ours.\n") && tried.file.text.contains("# all of them"));
        assert_ne!(files.with(tried.file).monitor("shop").unwrap().revision, home.revision);
        for (change, line, words) in [
            (keys(&[("interval", json!("soon"))]), Some(5), "`soon` is no duration; expected a whole number"),
            (keys(&[("alerts.0.to", json!(["nobody"]))]), Some(11), "no configured notifier"),
            (keys(&[("colour", json!("red"))]), Some(6), "unknown field `colour`"),
            (Change::Text(SHOP.replace("\"5m\"", "5m")), Some(4), ""),
            (Change::Text(format!("{SHOP}[server]\nlisten = \"127.0.0.1:1\"\n")), Some(8), "does not belong"),
            (Change::Text("# nothing\n".to_owned()), None, "there is no table [monitors.shop]"),
        ] {
            let tried = try_out(&change);
            let problems = tried.outcome.unwrap_err();
            assert_eq!(problems[0].line, line, "{problems:?}\n{}", tried.text);
            assert!(problems[0].message.contains(words), "{problems:?}");
        }
        assert!(files.monitor("nobody").is_none());
    }

    #[test]
    fn a_new_monitor_gets_a_file_or_a_place_at_the_end() {
        let (folder, files) = folder();
        let text =
            SHOP.replace("shop", "cart").replace("clicks", "carts") + "[sources.carts]\nkind = \"http\"\n";
        let tried = files.add("cart", &text, &Environment::default());
        assert_eq!(tried.outcome.unwrap().sources.len(), 2);
        assert_eq!((tried.file.path, tried.file.text), (folder.path().join("cart.toml"), text.clone()));
        let again = files.add("shop", SHOP, &Environment::default()).outcome.unwrap_err();
        assert_eq!(again[0].message, "there is a monitor `shop` already");

        let one = folder.path().join("one.txt");
        std::fs::write(&one, format!("{CLICKS}{SHOP}")).unwrap();
        let tried = ConfigFiles::read(&one).unwrap().add("cart", &text, &Environment::default());
        assert!(tried.outcome.is_ok());
        assert_eq!(tried.file.text, format!("{CLICKS}{SHOP}\n{text}"));
    }
}
