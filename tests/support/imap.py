"""Reads a mailbox by IMAP: imap.py PORT RECIPIENT prints the mails to a recipient, oldest first, as JSON."""
import email
import email.policy
import imaplib
import json
import struct
import sys

mailbox = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
mailbox.login("ops", "s3cret")
mailbox.select()
_, found = mailbox.search(None, "HEADER", "X-Original-To", f'"{sys.argv[2]}"')
mails = []
for number in found[0].split():
    _, data = mailbox.fetch(number, "(BODY.PEEK[])")
    mail = email.message_from_bytes(data[0][1], policy=email.policy.default)
    parts = []
    for part in mail.walk():
        kind = part.get_content_type()
        content = None if part.is_multipart() else part.get_content()
        if kind == "image/png":
            assert content[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
            content = list(struct.unpack(">II", content[16:24]))
        parts.append({"type": kind, "id": part["Content-ID"], "disposition": part.get_content_disposition(),
                      "content": content})
    mails.append({"headers": {name: " ".join(str(value).split()) for name, value in mail.items()},
                  "received": [" ".join(str(value).split()) for value in mail.get_all("Received", [])],
                  "parts": parts, "raw": data[0][1].decode("ascii")})
print(json.dumps(mails))
