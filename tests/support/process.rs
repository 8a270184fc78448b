//! The real program as a child process, and waiting for what it does.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// What a command said, and the code it ended with.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A child process that ends with its owner.
pub(crate) struct Process {
    child: Child,
    output: TempDir,
}

/// The program with these arguments, and none of the test's environment that it looks at.
pub(crate) fn tidewatch<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("WEBHOOK_SECRET").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Said {
    Process::start(command).wait()
}

/// Runs a command to its end, with this as its standard input.
pub(crate) fn finish_with_input(command: &mut Command, input: Vec<u8>) -> Said {
    let mut process = Process::start(command.stdin(Stdio::piped()));
    let mut pipe = process.child.stdin.take().expect("piped");
    // A command that ends early closes the pipe; what it said tells why.
    let writer = thread::spawn(move || drop(pipe.write_all(&input)));
    let said = process.wait();
    writer.join().expect("writing does not panic");
    said
}

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(PAUSE);
    }
}

/// Asks until there is an answer.
pub(crate) async fn wait_until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The JSON at a URL; `None` while nobody answers.
pub(crate) async fn get_json(url: &str) -> Option<Value> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().ok()?;
    let text = client.get(url).send().await.ok()?.text().await.ok()?;
    serde_json::from_str(&text).ok()
}

impl Process {
    /// Starts a command; what it says goes to files.
    pub(crate) fn start(command: &mut Command) -> Self {
        let output = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| File::create(output.path().join(name)).expect("a temporary file");
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn();
        let program = command.get_program().to_string_lossy().into_owned();
        let child = child.unwrap_or_else(|error| panic!("could not start `{program}`: {error}"));
        Self { child, output }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Said {
        let child = &mut self.child;
        let status = wait_for("a command to end", || child.try_wait().expect("our child"));
        Said { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn terminate(self) -> Said {
        let asked = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status();
        assert!(asked.is_ok_and(|status| status.success()), "the process could not be asked to end");
        self.wait()
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.output.path().join("stdout"))
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        read(&self.output.path().join("stderr"))
    }

    /// Waits until a service says where it listens.
    pub(crate) fn url(&self) -> String {
        wait_for("the service to listen", || {
            let said = self.stdout();
            let (_, url) = said.lines().find_map(|line| line.split_once(" listens on "))?;
            Some(url.to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("the file is there")).into_owned()
}
