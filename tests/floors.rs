//! The house has floors, and imports go down only. Reads every `crate::<room>` path of the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Rooms and their floors; siblings on a floor are strangers, except on the top one.
const FLOORS: [(&str, u8); 14] = [
    ("record", 1),
    ("window", 2),
    ("anomaly", 3),
    ("calendar", 3),
    ("pipeline", 4),
    ("sources", 5),
    ("store", 5),
    ("notifiers", 5),
    ("api", 6),
    ("backtest", 6),
    ("cli", 7),
    ("config", 7),
    ("assemble", 7),
    ("main", 7),
];

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn room_of(path: &Path, root: &Path) -> Option<String> {
    let first = path.strip_prefix(root).ok()?.components().next()?;
    Some(first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned())
}

/// What is wrong with the imports of one file.
fn complaints(name: &str, room: &str, text: &str) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let Some(floor) = floors.get(room).copied() else { return vec![format!("`{name}` is in no known room")] };
    let mut found = Vec::new();
    if text.contains("super::super") {
        found.push(format!("`{name}` uses `super::super`, which can hide an upward import"));
    }
    for imported in imported_rooms(text) {
        let allowed = match floors.get(imported.as_str()) {
            Some(_) if imported == room => true,
            Some(other) => *other < floor || floor == 7,
            None => true,
        };
        if !allowed {
            found.push(format!("`{name}` imports `{imported}`: floor {floor} may use the floors below it"));
        }
    }
    found
}

/// The first names after `crate::`, also inside braces.
fn imported_rooms(text: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut expecting = true;
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expecting = true,
                _ if expecting && depth == 1 && letter.is_alphabetic() => {
                    rooms.push(word(&group[index..]));
                    expecting = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms
}

#[test]
fn imports_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    let found: Vec<String> = files
        .iter()
        .filter(|path| !path.ends_with("src/lib.rs"))
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            complaints(&name, &room_of(path, &root).unwrap(), &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::pipeline::Engine;",
        "use crate::{record::Event, pipeline::{Commit, Engine}};",
        "use crate::{\n    record::{A, B},\n    pipeline::Engine,\n};",
        "let x = crate::pipeline::Engine::new();",
    ] {
        assert_eq!(
            complaints("window/intake.rs", "window", text),
            ["`window/intake.rs` imports `pipeline`: floor 2 may use the floors below it"],
            "{text}"
        );
    }
    assert_eq!(
        complaints("store/x.rs", "store", "use crate::sources::X;").len(),
        1,
        "siblings are strangers"
    );
    assert_eq!(complaints("window/x.rs", "window", "use crate::record::{pipeline, Engine};"), [""; 0]);
    assert_eq!(complaints("window/x.rs", "window", "use super::super::y;").len(), 1);
}

#[test]
fn the_bottom_crates_know_nothing_of_the_house() {
    for member in ["detectors", "datasets"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(member);
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("path = \"..\""), "{member} depends on the house");
        for banned in ["tokio", "rusqlite", "reqwest"] {
            assert!(!manifest.contains(banned), "{member} depends on {banned}");
        }
    }
}
