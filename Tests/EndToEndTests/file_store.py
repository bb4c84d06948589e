"""What the directory of files must hold, held against its database: every difference, in words."""

import hashlib
import pathlib
import sqlite3

OPEN, COMPLETE = 0, 1


class FileStore:
    """One look at a store whose service has no request in hand."""

    def __init__(self, directory, database):
        root = pathlib.Path(directory)
        self.blobs = {path.name: path for path in (root / "blobs").glob("??/*")}
        self.temporary = sorted(path.name for name in ("temporary", "trash") for path in (root / name).iterdir())
        self.partial = {path.name: path for path in (root / "uploads").iterdir()}
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("BEGIN")
            self.files = {row["file_id"]: row for row in connection.execute("SELECT * FROM file")}
            self.uploads = {row["file_id"]: row for row in connection.execute("SELECT * FROM partial_upload")}
            self.usage = {
                row["user_id"]: (row["files"], row["bytes"]) for row in connection.execute("SELECT * FROM file_usage")
            }
            self.problems = [f"the database: {row[0]}" for row in connection.execute("PRAGMA integrity_check")]
            self.problems = [problem for problem in self.problems if problem != "the database: ok"]
            self.problems += [f"foreign key: {tuple(row)}" for row in connection.execute("PRAGMA foreign_key_check")]
        finally:
            connection.close()

    def inconsistencies(self):
        return [*self.problems, *self._of_blobs(), *self._of_uploads(), *self._of_usage()]

    def _of_blobs(self):
        wanted = {row["sha256"]: row["size"] for row in self.files.values()}
        for row in self.files.values():
            if wanted[row["sha256"]] != row["size"]:
                yield f"record {row['file_id']}: another size than other records of its blob"
        for name in wanted.keys() - self.blobs.keys():
            yield f"record without blob {name}"
        for name, path in self.blobs.items():
            if name not in wanted:
                yield f"blob without record {name}"
                continue
            content = path.read_bytes()
            if len(content) != wanted[name]:
                yield f"blob {name}: {len(content)} bytes, not {wanted[name]}"
            if hashlib.sha256(content).hexdigest() != name or path.parent.name != name[:2]:
                yield f"blob {name}: another content, or elsewhere"
        for name in self.temporary:
            yield f"temporary file {name}"

    def _of_uploads(self):
        unfinished = {name: row for name, row in self.uploads.items() if row["state"] == OPEN}
        for name in unfinished.keys() - self.partial.keys():
            yield f"open upload without file {name}"
        for name, path in self.partial.items():
            row = unfinished.get(name)
            if row is None:
                yield f"partial file without open upload {name}"
                continue
            status = path.stat()
            if status.st_size > row["length"]:
                yield f"partial file {name}: {status.st_size} bytes of {row['length']}"
            # Shared with a blob, it may not change any more.
            if status.st_nlink > 1 and (status.st_size < row["length"] or row["verified_length"] is not None):
                yield f"partial file {name}: is a blob too, and may be cut"
        for name, row in self.uploads.items():
            if row["state"] == COMPLETE and name not in self.files:
                yield f"complete upload without record {name}"
            if row["state"] == OPEN and name in self.files:
                yield f"open upload with a record {name}"

    def _of_usage(self):
        usage = {}
        for row in self.files.values():
            files, size = usage.get(row["uploader_id"], (0, 0))
            usage[row["uploader_id"]] = (files + 1, size + row["size"])
        if usage != self.usage:
            yield f"usage {self.usage}, not {usage}"
