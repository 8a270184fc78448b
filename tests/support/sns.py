"""The other side of tests/sns.rs: sets up an SNS that checks signatures, and reads what came through SQS.

sns.py setup ENDPOINT        makes topics, queues and users; prints the keys of a user who may publish and of one who may not
sns.py read ENDPOINT QUEUE KEY SECRET     prints the messages of a queue and takes them out
"""
import json
import sys
import urllib.request

import boto3

REGION, ACCOUNT = "eu-west-1", "123456789012"
QUEUES = ["tidewatch", "lookout", "text", "sms", "faults", "shop.fifo"]


def client(service, key="setup", secret="setup"):
    return boto3.client(service, region_name=REGION, endpoint_url=sys.argv[2],
                        aws_access_key_id=key, aws_secret_access_key=secret)


def setup():
    sns, sqs, iam = client("sns"), client("sqs"), client("iam")
    for name in QUEUES:
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        topic = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
    keys = {}
    for user, action in (("publisher", "sns:Publish"), ("reader", "sqs:*")):
        iam.create_user(UserName=user)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = [made["AccessKeyId"], made["SecretAccessKey"]]
    # From now on every signature and every permission is checked.
    request = urllib.request.Request(f"{sys.argv[2]}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).read()
    print(json.dumps(keys))


def read(queue, key, secret):
    sqs = client("sqs", key, secret)
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = []
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0)
        if not answer.get("Messages"):
            break
        for message in answer["Messages"]:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            found.append({
                "message": body["Message"],
                "subject": body.get("Subject"),
                "attributes": {name: value["Value"] for name, value in body.get("MessageAttributes", {}).items()},
                "group": message["Attributes"].get("MessageGroupId"),
                "deduplication": message["Attributes"].get("MessageDeduplicationId"),
            })
    print(json.dumps(found))


if sys.argv[1] == "setup":
    setup()
else:
    read(*sys.argv[3:])
