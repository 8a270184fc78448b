"""Moto on 127.0.0.1 for tests: moto_server.py PORT. Like `moto_server`, but signatures of forms are checked over the bytes as
they were sent, as Amazon does. Moto by itself writes the form anew first, with `+` for spaces, and refuses every client
that writes `%20`."""
import io
import sys
import threading

from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

sent = threading.local()
moto = DomainDispatcherApplication(create_backend_app)
made = IAMRequestBase.__init__


def keeping_the_body(environ, start_response):
    sent.body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(sent.body)
    return moto(environ, start_response)


def with_the_body(request, *arguments, **named):
    made(request, *arguments, **named)
    request._body = sent.body


IAMRequestBase.__init__ = with_the_body
run_simple("127.0.0.1", int(sys.argv[1]), keeping_the_body, threaded=True)
