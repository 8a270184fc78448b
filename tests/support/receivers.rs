//! Real receivers of alerts, each started once per test binary by scripts/receivers.sh.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// One server, with a folder and five ports of its own.
pub(crate) struct Server {
    what: &'static str,
    home: PathBuf,
    port: u16,
}

impl Server {
    /// Chooses folder and ports; nothing runs yet.
    pub(crate) fn new(what: &'static str) -> Self {
        let home = std::env::temp_dir().join(format!("tidewatch-{what}-{}", std::process::id()));
        Self { what, home, port: free_ports() }
    }

    /// Starts it. A watcher ends it after this process.
    pub(crate) fn start(self) -> Self {
        let watch = format!(
            "while kill -0 {} 2>/dev/null; do sleep 0.5; done; '{}' stop {}; rm -rf '{}'",
            std::process::id(),
            script().display(),
            self.what,
            self.home.display()
        );
        #[expect(clippy::zombie_processes, reason = "the watcher outlives this process on purpose")]
        self.with_place(Command::new("setsid").args(["bash", "-c", &watch]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watcher starts");
        let started = self.with_place(Command::new(script()).args(["start", self.what])).output();
        let started = started.expect("the script runs");
        assert!(started.status.success(), "{}: {}", self.what, String::from_utf8_lossy(&started.stderr));
        self
    }

    /// One of its ports; scripts/receivers.sh says which is what.
    pub(crate) fn port(&self, offset: u16) -> u16 {
        self.port + offset
    }

    /// The text of a file in its folder.
    pub(crate) fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.home.join(path)).expect("the script made it")
    }

    fn with_place<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("RECEIVER_HOME", &self.home).env("RECEIVER_PORT", self.port.to_string())
    }
}

/// What a program prints, as JSON.
pub(crate) fn json_of(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A Python program of this folder.
pub(crate) fn python(interpreter: &Path, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(root().join("tests/support").join(program));
    command
}

/// The folder of this package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script() -> PathBuf {
    root().join("scripts/receivers.sh")
}

/// The first of five ports that nobody uses.
fn free_ports() -> u16 {
    let free = |port: u16| (port..port + 5).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let first = 26_000 + (std::process::id() % 400) as u16 * 10;
    (0..400).map(|step| first + step * 5).find(|port| free(*port)).expect("five free ports")
}
