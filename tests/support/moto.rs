//! moto's Kinesis, which checks signatures and permissions: one stream, a user that may read it, and a role.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Makes them, prints the user's key and the role, and turns the checks on.
const SETUP: &str = r#"
import boto3, json, sys, urllib.request
url, stream, data = sys.argv[1:]
any_key = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
def policy(action):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
iam, kinesis = boto3.client("iam", **any_key), boto3.client("kinesis", **any_key)
iam.create_user(UserName="reader")
key = iam.create_access_key(UserName="reader")["AccessKey"]
iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy(["kinesis:*", "sts:AssumeRole"]))
iam.create_user(UserName="stranger")
strange = iam.create_access_key(UserName="stranger")["AccessKey"]
iam.put_user_policy(UserName="stranger", PolicyName="takes", PolicyDocument=policy(["sts:AssumeRole"]))
role = iam.create_role(RoleName="reading", AssumeRolePolicyDocument=policy(["sts:AssumeRole"]))["Role"]["Arn"]
iam.put_role_policy(RoleName="reading", PolicyName="reads", PolicyDocument=policy(["kinesis:*"]))
kinesis.create_stream(StreamName=stream, ShardCount=1)
kinesis.put_record(StreamName=stream, Data=data.encode(), PartitionKey="k")
turn_on = urllib.request.Request(url + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
urllib.request.urlopen(turn_on).read()
print(key["AccessKeyId"], key["SecretAccessKey"], strange["AccessKeyId"], strange["SecretAccessKey"], role)
"#;

/// An access key.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

pub(crate) struct Moto {
    home: PathBuf,
    pub(crate) address: String,
    /// May read.
    pub(crate) reader: Key,
    /// May only take on the role.
    pub(crate) stranger: Key,
    /// May read.
    pub(crate) role: String,
}

impl Moto {
    /// A server of its own with this stream, which holds one record.
    pub(crate) fn start(stream: &str, data: &str) -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("moto-{}", std::process::id()));
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        run(script("start", &home).env("MOTO_PORT", port.to_string()));
        let address = format!("127.0.0.1:{port}");
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/python");
        let said = run(Command::new(python).args(["-c", SETUP, &format!("http://{address}"), stream, data]));
        let words: Vec<&str> = said.split_whitespace().collect();
        let [id, secret, strange_id, strange_secret, role] = words[..] else { panic!("moto said {said}") };
        let key = |id: &str, secret: &str| Key { id: id.to_owned(), secret: secret.to_owned() };
        Self {
            home,
            address,
            reader: key(id, secret),
            stranger: key(strange_id, strange_secret),
            role: role.to_owned(),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        run(&mut script("stop", &self.home));
        drop(std::fs::remove_dir_all(&self.home));
    }
}

fn script(command: &str, home: &Path) -> Command {
    let mut run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/moto.sh"));
    run.arg(command).env("MOTO_HOME", home);
    run
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
