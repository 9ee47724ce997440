#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record.py HOST:PORT FOLDER PORT: a proxy in front of a server that serves tests/triton/models; what goes through is kept as NN-NAME.request and
NN-NAME.answer, raw, each request once. Point Triton's example clients at PORT (README.md); ends with the input."""
import os, re, socket, sys, threading

upstream, folder, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
host, upstream_port = upstream.rsplit(":", 1)
seen, lock = set(), threading.Lock()


def message(read):
    """One HTTP/1.1 message with Content-Length: head and body."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = read(1)
        if not piece:
            return None, None
        head += piece
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    length, body = int(found.group(1)) if found else 0, b""
    while len(body) < length:
        body += read(length - len(body))
    return head, body


def keep(head, body, answer):
    line = head.split(b"\r\n", 1)[0]
    with lock:
        if (line, body) in seen:
            return
        seen.add((line, body))
        slug = re.sub(r"[^a-z0-9]+", "_", line.decode().split(" ")[1].split("?")[0].lower()).strip("_")
        path = os.path.join(folder, f"{len(seen):02d}-{slug}")
    head = re.sub(rb"(?i)\r\nhost: [^\r]*", b"\r\nHost: localhost", head)
    with open(path + ".request", "wb") as file:
        file.write(head + body)
    with open(path + ".answer", "wb") as file:
        file.write(re.sub(rb"(?i)\r\ndate: [^\r]*", b"", answer[0]) + answer[1])


def serve(client):
    server = socket.create_connection((host, int(upstream_port)))
    while True:
        head, body = message(client.recv)
        if head is None:
            return
        server.sendall(head + body)
        answer = message(server.recv)
        keep(head, body, answer)
        client.sendall(answer[0] + answer[1])


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


os.makedirs(folder, exist_ok=True)
listener = socket.create_server(("127.0.0.1", port))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()
