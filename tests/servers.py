"""A fake OpenAI-compatible server: quiet, with one model. What it completes is for the test to say (``do_POST``)."""

import http.server
import json


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _send(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self._send({"data": [{"id": "model"}]})
