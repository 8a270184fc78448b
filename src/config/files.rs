//! A configuration as files: one, or all `*.toml` of a folder. Those are one configuration, in the order of their names.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Config, ConfigError, Environment, Problem, check,
    merge::{self, Texts},
    written::WrittenConfig,
};

/// One file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// The files of a configuration as they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFiles {
    root: PathBuf,
    is_folder: bool,
    files: Vec<ConfigFile>,
}

impl ConfigFiles {
    /// Reads a file, or the files of a folder.
    pub fn read(root: &Path) -> Result<Self, ConfigError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| ConfigError::Unreadable { path, error }
        };
        let is_folder = root.is_dir();
        let mut paths = vec![root.to_owned()];
        if is_folder {
            paths = toml_files(root).map_err(unreadable(root))?;
            if paths.is_empty() {
                return Err(ConfigError::Empty { path: root.to_owned() });
            }
        }
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            files.push(ConfigFile { path, text });
        }
        Ok(Self { root: root.to_owned(), is_folder, files })
    }

    /// What was asked for: a file or a folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether new files may be put beside these.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The files in order.
    pub fn files(&self) -> &[ConfigFile] {
        &self.files
    }

    /// The same with a file that says something else, or one more.
    #[must_use]
    pub fn with(&self, file: ConfigFile) -> Self {
        let mut changed = self.clone();
        changed.files.retain(|known| known.path != file.path);
        changed.files.push(file);
        changed.files.sort_by(|one, other| one.path.cmp(&other.path));
        changed
    }

    /// Checks them and reads the calendars that they name; also what of those is left out.
    pub fn parse(&self, environment: &Environment) -> Result<(Config, Vec<String>), ConfigError> {
        let name = |file: &ConfigFile| self.is_folder.then(|| file.path.clone());
        let texts = self.files.iter().map(|file| (name(file), file.text.as_str())).collect();
        parse(&Texts::new(texts), environment)
    }
}

/// Checks texts as one configuration.
pub(super) fn parse(
    texts: &Texts<'_>,
    environment: &Environment,
) -> Result<(Config, Vec<String>), ConfigError> {
    let form = |(message, place)| ConfigError::Form { message, place };
    let document = texts.merge().map_err(form)?;
    let offsets = merge::offsets(document.get_ref());
    let written: WrittenConfig = merge::read(document).map_err(|error| form(texts.malformed(&error)))?;
    let placed = |problems: Vec<Problem>| {
        let place = |mut problem: Problem| {
            let offset = merge::nearest(&offsets, &problem.path);
            problem.place = offset.and_then(|offset| texts.place(offset));
            problem
        };
        ConfigError::Values(problems.into_iter().map(place).collect())
    };
    let mut config = check::check(&written, environment).map_err(placed)?;
    let left_out = config.read_calendars().map_err(|error| match error {
        ConfigError::Values(problems) => placed(problems),
        other => other,
    })?;
    Ok((config, left_out))
}

/// The visible `*.toml` of a folder, by name.
fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|ending| ending == "toml") && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "[sources.clicks]\nkind = \"http\"\n";
    const SHOP: &str = "# The shop.\n[monitors.shop]\nsource = \"clicks\"\ntimestamp = \"at\"\ninterval = \"5m\"\n\
                        [monitors.shop.measures]\nviews = { count = true }\n";

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, ConfigFiles) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let files = ConfigFiles::read(folder.path()).unwrap();
        (folder, files)
    }

    fn complaint(files: &[(&str, &str)]) -> String {
        let (folder, files) = folder(files);
        let error = files.parse(&Environment::default()).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn the_files_of_a_folder_are_one_configuration() {
        let detector = "[monitors.shop.detector]\nseverity = 80\n";
        let (_folder, files) = folder(&[
            ("shop.toml", SHOP),
            ("sources.toml", SOURCES),
            ("tuning.toml", detector),
            ("notes.txt", "not one of them"),
            (".shop.toml", "nor = this"),
        ]);
        assert_eq!(files.files().len(), 3);
        let (config, _) = files.parse(&Environment::default()).unwrap();
        assert_eq!(config.sources[0].monitors[0].facts.monitor, "shop");
        let empty = tempfile::tempdir().unwrap();
        let error = ConfigFiles::read(empty.path()).unwrap_err().to_string();
        assert!(error.contains("holds no file *.toml"), "{error}");
    }

    #[test]
    fn complaints_name_the_file_and_the_line() {
        let wrong =
            |from: &str, to: &str| complaint(&[("shop.toml", &SHOP.replace(from, to)), ("z.toml", SOURCES)]);
        assert_eq!(
            wrong("\"5m\"", "\"soon\""),
            "`monitors.shop.interval`: `soon` is no duration; expected a whole number with ms, s, m, h, d or w \
             (`shop.toml` line 5)"
        );
        assert!(wrong("interval", "intervall").contains("unknown field `intervall`"));
        assert!(wrong("interval", "intervall").starts_with("`shop.toml` line 5: "));
        assert!(wrong("\"at\"", "at").starts_with("`shop.toml` line 4: "), "{}", wrong("\"at\"", "at"));
        let twice = complaint(&[
            ("a.toml", SOURCES),
            ("b.toml", SHOP),
            ("c.toml", "\n[monitors.shop]\ninterval = \"1h\"\n"),
        ]);
        assert_eq!(
            twice,
            "`c.toml` line 3: `monitors.shop.interval` is written twice, and already in `b.toml` line 5"
        );
    }

    #[test]
    fn one_file_needs_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.toml");
        std::fs::write(&path, format!("{SOURCES}{}", SHOP.replace("\"clicks\"", "\"click\""))).unwrap();
        let files = ConfigFiles::read(&path).unwrap();
        assert_eq!(
            files.parse(&Environment::default()).unwrap_err().to_string(),
            "`monitors.shop.source`: `click` is not configured; there are: clicks (line 5)"
        );
        assert!(ConfigFiles::read(Path::new("/nowhere.toml")).is_err());
    }
}
