//! A real schema registry per test binary, started by scripts/registry.sh.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use axum::http::{HeaderMap, StatusCode, Uri};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

pub(crate) struct Registry {
    url: String,
}

impl Registry {
    /// The one that tests share; a watcher ends it after this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Registry> = OnceLock::new();
        SHARED.get_or_init(|| {
            let home =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("registry-{}", std::process::id()));
            let port = crate::service::free_port();
            let command = |program: &Path| {
                let mut command = Command::new(program);
                command.env("REGISTRY_HOME", &home).env("REGISTRY_PORT", port.to_string());
                command
            };
            let output = command(&script()).arg("start").output().expect("the script runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let watch = format!(
                "while kill -0 {} 2>/dev/null; do sleep 1; done; '{}' stop; rm -rf '{}'",
                std::process::id(),
                script().display(),
                home.display()
            );
            #[expect(clippy::zombie_processes, reason = "the watcher outlives this process on purpose")]
            command(Path::new("setsid"))
                .args(["bash", "-c", &watch])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("a watcher starts");
            Self { url: String::from_utf8(output.stdout).expect("an address").trim().to_owned() }
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Another way to it, which asks for a user and a password.
    pub(crate) async fn guarded(&self, user: &str, password: &str) -> String {
        let (url, login) = (self.url.clone(), BASE64_STANDARD.encode(format!("{user}:{password}")));
        let pass_on = move |headers: HeaderMap, uri: Uri| {
            let url = format!("{url}{}", uri.path());
            let given = headers.get("authorization").map(|given| given.as_bytes().to_vec());
            let known = given == Some(format!("Basic {login}").into_bytes());
            async move {
                if !known {
                    return (StatusCode::UNAUTHORIZED, String::new());
                }
                let answer = reqwest::get(url).await.expect("the registry answers");
                (answer.status(), answer.text().await.expect("an answer"))
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = axum::Router::new().fallback(axum::routing::get(pass_on));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        let rest = self.url.strip_prefix("http://").expect("an address");
        rest.split('/').next().expect("an address")
    }

    /// Registers a schema; its number. Tests that register at the same time may get into each other's way.
    pub(crate) async fn register(&self, subject: &str, kind: &str, schema: &str, references: Value) -> u32 {
        let body = json!({ "schema": schema, "schemaType": kind, "references": references });
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let mut said = String::new();
        for _ in 0..5 {
            let answer = reqwest::Client::new().post(&url).json(&body).send().await;
            said = answer.expect("the registry answers").text().await.expect("an answer");
            let answer: Value = serde_json::from_str(&said).unwrap_or_default();
            if let Some(number) = answer["id"].as_u64() {
                return number as u32;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("{subject} is refused: {said}")
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/registry.sh")
}
