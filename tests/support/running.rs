//! `tidewatch run` in a folder of its own, to be killed, stopped and started again.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A process whose configuration is `config.toml` in its folder; what it logs goes to `log.txt` there.
pub(crate) struct Running {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

impl Running {
    /// A process that does not run yet.
    pub(crate) fn configured(folder: &Path, config: &str) -> Self {
        std::fs::write(folder.join("config.toml"), config).expect("a temporary file");
        Self { folder: folder.to_owned(), variables: Vec::new(), child: None }
    }

    /// Also with this variable in its environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Any command, started in this folder.
    pub(crate) fn of(folder: &Path, command: &mut Command) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(folder.join("log.txt"));
        let log = log.expect("a temporary file");
        let errors = log.try_clone().expect("an open file");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("it starts");
        Self { folder: folder.to_owned(), variables: Vec::new(), child: Some(child) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Another process over the same folder, which does not run yet.
    pub(crate) fn another(&self) -> Self {
        Self { folder: self.folder.clone(), variables: self.variables.clone(), child: None }
    }

    pub(crate) fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    pub(crate) fn spawn_with(&mut self, options: &[&str]) {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log.txt"));
        let child = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
            .args(["run", "--config"])
            .arg(self.folder.join("config.toml"))
            .args(options)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(log.expect("a temporary file"))
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// SIGKILL: no handler, no farewell.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("still running");
        child.wait().expect("a child of ours");
    }

    /// Asks politely and waits for the last commit.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("running");
        let asked =
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(asked.success());
        let status = child.wait().expect("a child of ours");
        assert!(status.success(), "{}", self.log());
    }

    /// Ctrl-C; the code it ends with.
    pub(crate) fn interrupt(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("running");
        let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        assert!(asked.success());
        child.wait().expect("a child of ours").code()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("running");
        child.try_wait().expect("a child of ours").is_some()
    }

    /// Process id while it runs.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log.txt")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
