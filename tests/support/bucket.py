"""Amazon's S3, SQS and IAM by moto in this process, filled by commands: one JSON object a line on standard input,
one answered on standard output. It ends with its input. Signatures are checked.   bucket.py PORT"""
import base64
import datetime
import json
import sys

import boto3
from moto import settings
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.s3.models import s3_backends

ACCOUNT = "123456789012"
REGION = "us-east-1"
port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}"
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()


def client(name):
    return boto3.client(
        name, endpoint_url=url, region_name=REGION, aws_access_key_id="setup", aws_secret_access_key="setup"
    )


def set_up(_):
    client("s3").create_bucket(Bucket="shop")
    iam = client("iam")
    iam.create_user(UserName="engine")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"},
            {"Effect": "Allow", "Action": ["sqs:*"], "Resource": "*"},
        ],
    }
    iam.put_user_policy(UserName="engine", PolicyName="all", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="engine")["AccessKey"]
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="objects", Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:objects"
    client("s3").put_bucket_notification_configuration(
        Bucket="shop",
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "told/"}]}},
                }
            ]
        },
    )
    # From now on every request must be signed with that key.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"], "queue": queue}


def put(command):
    backend = s3_backends[ACCOUNT]["aws"]
    for item in command["objects"]:
        key = backend.put_object("shop", item["key"], base64.b64decode(item["body"]))
        if "modified" in item:
            key.last_modified = datetime.datetime.fromtimestamp(item["modified"], datetime.timezone.utc)
    return {"put": len(command["objects"])}


def queued(_):
    from moto.sqs.models import sqs_backends

    queue = sqs_backends[ACCOUNT][REGION].get_queue("objects")
    return {"messages": len(queue._messages)}


do = {"set_up": set_up, "put": put, "queued": queued}
for line in sys.stdin:
    command = json.loads(line)
    print(json.dumps(do[command["do"]](command)), flush=True)
server.stop()
