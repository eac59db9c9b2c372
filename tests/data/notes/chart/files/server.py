"""PUT /notes/NAME keeps a note, GET gives it back; 201 means that it is on the disk."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NOTES = Path("/data")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in ("/live", "/ready"):
            return self.answer(200)
        path = self.note()
        if path is None or not path.exists():
            return self.answer(404 if path else 401)
        return self.answer(200, path.read_bytes())

    def do_PUT(self) -> None:
        path = self.note()
        if path is None:
            return self.answer(401)
        written = path.with_name(f".{path.name}")
        with written.open("wb") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])))
            file.flush()
            os.fsync(file.fileno())
        written.rename(path)
        folder = os.open(NOTES, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        return self.answer(201)

    def note(self) -> Path | None:
        """Where the note is; None for who may not know."""
        known = self.headers["Authorization"] == f"Bearer {os.environ['NOTES_TOKEN']}"
        return NOTES / Path(self.path).name if known else None

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
