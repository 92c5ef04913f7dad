"""An object store for tests, that speaks the part of Google Cloud Storage's JSON interface that gcsfs and tensorstore use.

In memory, on loopback, with generations and their preconditions, which emulators of registries leave out and tensorstore needs.
An object appears whole, with its last byte; there are no folders; nothing can be renamed in place or appended to.

Run as a program it serves until its standard input ends: python -m tests.object_store. It prints its address.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "bucket"


class Object(NamedTuple):
    content: bytes
    generation: int


class Refused(Exception):
    """An answer that is no success. code: of HTTP."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Store:
    """Objects by name. Raises Refused as the service answers: 404 for what is not there, 412 and 304 for preconditions."""

    def __init__(self):
        self.objects: dict[str, Object] = {}
        self.refuses: Callable[[str, str], int] = lambda method, name: 0  # tests decide: a code of HTTP
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def get(self, name: str, wanted: dict[str, str]) -> Object:
        with self._lock:
            own = self.objects[name] if name in self.objects else None
            _check(own, wanted)
            if own is None:
                raise Refused(404)
            return own

    def put(self, name: str, content: bytes, wanted: dict[str, str]) -> Object:
        with self._lock:
            _check(self.objects[name] if name in self.objects else None, wanted)
            self.objects[name] = Object(content, next(self._numbers))
            return self.objects[name]

    def delete(self, name: str, wanted: dict[str, str]) -> None:
        with self._lock:
            if name not in self.objects:
                raise Refused(404)
            _check(self.objects[name], wanted)
            del self.objects[name]

    def names(self, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
        """Objects that begin with `prefix`, and, where the rest holds `delimiter`, what is common to them up to it."""
        with self._lock:
            every = sorted(name for name in self.objects if name.startswith(prefix))
        if not delimiter:
            return every, []
        below = {name: name[len(prefix) :].partition(delimiter) for name in every}
        common = {prefix + first + found for first, found, _ in below.values() if found}
        return [name for name, (_, found, _) in below.items() if not found], sorted(common)


def _check(own: Object | None, wanted: dict[str, str]) -> None:
    generation = str(own.generation) if own else "0"
    if "ifGenerationMatch" in wanted and wanted["ifGenerationMatch"] != generation:
        raise Refused(412)
    if "ifGenerationNotMatch" in wanted and wanted["ifGenerationNotMatch"] == generation:
        raise Refused(304)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store
    uploads: dict[str, tuple[str, dict, bytearray]]

    def log_message(self, *_) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        match = re.fullmatch(r"(?:/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?", url.path)
        name = unquote(match[2]) if match and match[2] else query["name"] if "name" in query else ""
        try:
            if code := self.store.refuses(self.command, name):
                raise Refused(code)
            if url.path.startswith("/batch/"):
                self._batch(body)
            elif url.path.startswith("/upload/"):
                self._upload(name, query, body)
            elif not match:
                raise Refused(404)
            elif name and re.search("/(rewriteTo|copyTo|moveTo)/", name):
                self._copy(name)
            elif name and self.command == "DELETE":
                self.store.delete(name, query)
                self._answer(204)
            elif name:
                self._read(name, query)
            elif url.path.endswith("/o"):
                self._list(query)
            else:
                self._json({"kind": "storage#bucket", "name": match[1], "location": "HERE"})
        except Refused as refused:
            self._answer(refused.code)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _read(self, name: str, query: dict[str, str]) -> None:
        own = self.store.get(name, query)
        if "alt" not in query or query["alt"] != "media":
            self._json(_described(name, own))
            return
        content, headers = own.content, {"x-goog-generation": str(own.generation)}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if not span:
            self._answer(200, content, headers)
            return
        first, last = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
        if first > last:
            raise Refused(416)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(206, content[first : last + 1], headers)

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = (query[key] if key in query else "" for key in ("prefix", "delimiter"))
        names, common = self.store.names(prefix, delimiter)
        objects = self.store.objects
        items = [_described(name, objects[name]) for name in names if name in objects]
        self._json({"kind": "storage#objects", "items": items, "prefixes": common})

    def _upload(self, name: str, query: dict[str, str], body: bytes) -> None:
        if "upload_id" in query:
            name, first, received = self.uploads[query["upload_id"]]
            received += body
            whole = re.search(r"/(\d+)$", self.headers["Content-Range"] or "/0")
            if self.headers["Content-Range"] and not whole:
                self._answer(308, b"", {"Range": f"bytes=0-{len(received) - 1}"})
                return
            self._json(_described(name, self.store.put(name, bytes(received), first)))
        elif query["uploadType"] == "resumable":
            name = name or json.loads(body)["name"]
            number = str(len(self.uploads))
            self.uploads[number] = (name, query, bytearray())
            host, port = self.server.server_address
            self._answer(200, b"", {"Location": f"http://{host}:{port}{self.path}&upload_id={number}"})
        else:
            if query["uploadType"] == "multipart":
                described, content = _parts(self.headers["Content-Type"], body)
                name, body = name or json.loads(described)["name"], content
            self._json(_described(name, self.store.put(name, body, query)))

    def _copy(self, path: str) -> None:
        source, verb, _, _, target = re.fullmatch(r"(.+)/(rewriteTo|copyTo|moveTo)/(b/([^/]+)/)?o/(.+)", path).groups()
        source, target = unquote(source), unquote(target)
        own = self.store.put(target, self.store.get(source, {}).content, {})
        if verb == "moveTo":
            self.store.delete(source, {})
        described = _described(target, own)
        self._json({"done": True, "resource": described} if verb == "rewriteTo" else described)

    def _batch(self, body: bytes) -> None:
        """Many deletions in one request, as parts of a multipart message, answered likewise."""
        answers = []
        for path in re.findall(rb"DELETE (\S+) HTTP", body):
            name = unquote(urlsplit(path.decode()).path.partition("/o/")[2])
            try:
                self.store.delete(name, {})
                code = 204
            except Refused as refused:
                code = refused.code
            answers.append(f"--parts\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {code} X\r\n\r\n\r\n")
        content = "".join([*answers, "--parts--"]).encode()
        self._answer(200, content, {"Content-Type": 'multipart/mixed; boundary="parts"'})

    def _json(self, value: dict) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, code: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """A client that ends in the middle of a request is no error."""


def _described(name: str, own: Object) -> dict:
    now = "2026-01-01T00:00:00.000Z"
    return {
        "kind": "storage#object", "bucket": BUCKET, "name": name, "size": str(len(own.content)),
        "generation": str(own.generation), "metageneration": "1", "updated": now, "timeCreated": now,
        "contentType": "application/octet-stream",
    }  # fmt: skip


def _parts(kind: str, body: bytes) -> list[bytes]:
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    return [part.get_payload(decode=True) for part in message.get_payload()]


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, Store]]:
    """A store and its address, while the block runs."""
    store = Store()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store, "uploads": {}}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://{}:{}".format(*server.server_address), store
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serving() as (address, _):
        print(address, flush=True)
        sys.stdin.read()
