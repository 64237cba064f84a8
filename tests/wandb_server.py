"""A W&B server for tests. It answers the requests that an upload needs, and stores the received data.

As on W&B, each row of a run's history has an index, and a row that is sent again replaces the row at its index.
"""

import gzip
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4  # with the length of a real key


class Run:
    """The received data of a run."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}  # group, job type, tags, config, …
        self.lines: dict[int, str] = {}
        self.summary: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.exit_code: int | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return the rows in order, without the keys that W&B adds."""
        rows = [json.loads(line) for _, line in sorted(self.lines.items())]
        return [{key: value for key, value in row.items() if key not in ("_timestamp", "_runtime")} for row in rows]

    @property
    def config(self) -> dict[str, Any]:
        entries = json.loads(self.about["config"])
        return {key: entry["value"] for key, entry in entries.items() if key != "_wandb"}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.runs: dict[str, Run] = {}
        self.keys: set[str] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors, because tests kill clients."""

    def answer(self, query: str, values: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            run = self.runs.setdefault(values["name"], Run())
            run.about |= {key: value for key, value in values.items() if value is not None}
            project = {"id": "1", "name": values["project"], "entity": {"id": "1", "name": "lab"}}
            bucket = {"id": values["name"], "name": values["name"], "project": project, "historyLineCount": 0}
            return {"upsertBucket": {"bucket": bucket, "inserted": len(run.lines) == 0}}
        if "historyTail" in query:
            return {
                "model": {
                    "id": "1",
                    "name": "p",
                    "entity": {"name": "lab"},
                    "bucket": self.stored_state(values["name"]),
                }
            }
        if "createArtifact" in query:  # tables come as files of the run, and once more as artifacts
            there = {"id": "1", "state": "COMMITTED", "artifactSequence": {"latestArtifact": {"id": "1"}}}
            return {"createArtifact": {"artifact": there}}
        if "createRunFiles" in query:
            addresses = [{"name": f, "uploadUrl": f"{self.url}/{values['run']}/{f}"} for f in values["files"]]
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": addresses}}
        return {}

    def stored_state(self, name: str) -> dict[str, Any] | None:
        """Return the stored state of a run, which a resumed client requests."""
        if name not in self.runs:
            return None
        run = self.runs[name]
        tail = [line for _, line in sorted(run.lines.items())][-1:]
        return {
            "id": name,
            "name": name,
            "historyLineCount": len(run.lines),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps(tail),
            "eventsTail": "[]",
            "summaryMetrics": json.dumps(run.summary),
            "config": run.about["config"],
            "wandbConfig": json.dumps({"t": 1}),
            "tags": run.about.get("tags", []),
        }

    def stream(self, name: str, sent: dict[str, Any]) -> None:
        run = self.runs[name]
        for file, part in sent.get("files", {}).items():
            if file == "wandb-history.jsonl":
                run.lines |= dict(enumerate(part["content"], part["offset"]))
            elif file == "wandb-summary.json":
                run.summary = json.loads(part["content"][-1])
        run.exit_code = sent.get("exitcode", run.exit_code)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def at(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        sent = json.loads(self.body())
        self.at.keys.add(self.headers.get("Authorization", ""))
        if self.path == "/graphql":
            self.reply({"data": self.at.answer(sent["query"], sent.get("variables") or {})})
        else:  # /files/<entity>/<project>/<run>/file_stream
            self.at.stream(self.path.split("/")[4], sent)
            self.reply({})

    def do_PUT(self) -> None:
        _, run, name = self.path.split("/", 2)
        self.at.runs[run].files[name] = self.body()
        self.reply({})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def reply(self, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def wandb_server() -> Generator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
