//! A real S3 as far as moto is one: signatures are checked, listings have pages of a thousand keys, and a queue is told
//! of objects under `told/`.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The bucket `shop` of this test binary.
pub(crate) struct Bucket {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) queue: String,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    _server: Child,
}

/// One object: its key, its bytes, and when it was last changed, in seconds; now if `None`.
pub(crate) type Object<'a> = (String, &'a [u8], Option<i64>);

impl Bucket {
    /// Started once; it ends when this process does, since its input then closes.
    pub(crate) fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Bucket>> = OnceLock::new();
        SHARED
            .get_or_init(|| Mutex::new(Self::start()))
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed =
            Command::new(root.join("scripts/moto.sh")).arg("install").output().expect("the script runs");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bucket-{port}.log"));
        let mut server = Command::new(root.join("target/moto/bin/python"))
            .arg(root.join("tests/support/bucket.py"))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).expect("a file for its log"))
            .spawn()
            .expect("moto starts");
        let mut bucket = Self {
            url: format!("http://127.0.0.1:{port}"),
            key: String::new(),
            secret: String::new(),
            queue: String::new(),
            commands: server.stdin.take().expect("piped"),
            answers: BufReader::new(server.stdout.take().expect("piped")),
            _server: server,
        };
        let made = bucket.tell(&json!({"do": "set_up"}));
        let text = |name: &str| made[name].as_str().expect("moto answers").to_owned();
        (bucket.key, bucket.secret, bucket.queue) = (text("key"), text("secret"), text("queue"));
        bucket
    }

    pub(crate) fn put(&mut self, objects: &[Object<'_>]) {
        let objects: Vec<Value> = objects
            .iter()
            .map(|(key, bytes, modified)| {
                let mut object = json!({"key": key, "body": STANDARD.encode(bytes)});
                if let Some(modified) = modified {
                    object["modified"] = json!(modified);
                }
                object
            })
            .collect();
        let answer = self.tell(&json!({"do": "put", "objects": objects}));
        assert_eq!(answer["put"], objects.len());
    }

    /// Messages in the queue, those under way included.
    pub(crate) fn messages(&mut self) -> u64 {
        self.tell(&json!({"do": "queued"}))["messages"].as_u64().expect("a number")
    }

    fn tell(&mut self, command: &Value) -> Value {
        writeln!(self.commands, "{command}").expect("moto listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("moto answers");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {line}; see the log in target/tmp"))
    }
}
