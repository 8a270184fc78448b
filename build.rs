//! Lists the files of the built console (`ui/dist`), so that they become part of the program.
//!
//! A folder that is not there, a file whose type is not known, or one that the page names and that is missing ends
//! the build: what a browser will ask for is known to be there. Files are listed in the order of their names.

#![expect(clippy::disallowed_methods, reason = "this is how cargo speaks to a build script")]

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Content types by the ends of names.
const TYPES: [(&str, &str); 12] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("ui/dist");
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=build.rs");
    let mut paths = Vec::new();
    list(&root, &mut paths).map_err(|error| {
        format!("the built console is not in `{}` ({error}); `make console` builds it", root.display())
    })?;
    paths.sort();
    let mut files = String::from("&[\n");
    let mut names = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(&root)?.to_str().ok_or("a name is not UTF-8")?.replace('\\', "/");
        let ending = name.rsplit('.').next().unwrap_or_default();
        let (_, kind) = TYPES
            .iter()
            .find(|(known, _)| *known == ending)
            .ok_or_else(|| format!("`ui/dist/{name}` is of no known type; build.rs lists those there are"))?;
        println!("cargo:rerun-if-changed={}", path.display());
        let full = path.to_str().ok_or("the path is not UTF-8")?;
        writeln!(files, "({name:?}, {kind:?}, include_bytes!({full:?}) as &[u8]),")?;
        names.push(name);
    }
    files.push(']');
    check(&root, &names)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("console.rs"), files)?;
    Ok(())
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// The page is there, and so is every file that it names. Its links into the API are no files.
fn check(root: &Path, names: &[String]) -> Result<(), Box<dyn Error>> {
    if !names.iter().any(|name| name == "index.html") {
        return Err("`ui/dist` has no index.html; `make console` builds it".into());
    }
    let page = fs::read_to_string(root.join("index.html"))?;
    for attribute in ["src=\"/", "href=\"/"] {
        for named in page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
            if !named.is_empty() && !named.starts_with("api/") && !names.iter().any(|name| name == named) {
                return Err(format!("`ui/dist/index.html` names `/{named}`, which is not there").into());
            }
        }
    }
    Ok(())
}
