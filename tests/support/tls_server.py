"""An HTTPS server that asks its clients for a certificate: tls_server.py CERT KEY CLIENT_CA

Prints its port, then a line of JSON for each request: who the client is, and what it posted.
"""
import http.server
import json
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        subject = self.connection.getpeercert()["subject"]
        print(json.dumps({"client": subject[0][0][1], "alert": self.headers["X-Tidewatch-Alert"],
                          "bytes": len(body)}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a refused client is the point


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.load_verify_locations(sys.argv[3])
context.verify_mode = ssl.CERT_REQUIRED
server = Server(("127.0.0.1", 0), Handler)
# The handshake belongs to the connection's own thread.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
