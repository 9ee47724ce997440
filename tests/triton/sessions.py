#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what the example programs of Triton's client say to a server, for src/server/models_test.c to say again.

    sessions.py --url HOST:PORT --client CHECKOUT --python PYTHON --out recorded [PROGRAM...]

The server is `weir up` as tests/triton/clients starts it (which calls this with RECORD=FOLDER). A file is a session: for each request

    > BYTES
    (the request, its Host rewritten to localhost)
    < STATUS BYTES
    (the body of the answer; nothing, and BYTES "-", where it differs from time to time: packed bodies, statistics, versions)

Connections follow each other in the order in which they began. Shared memory is left out: its regions are the client's.
"""
import argparse, os, re, socket, subprocess, sys, threading


def read_message(sock, rest):
    """Head and body of one HTTP/1.1 message with Content-Length; (None, b"") at the end."""
    while b"\r\n\r\n" not in rest:
        piece = sock.recv(65536)
        if not piece:
            return None, b""
        rest += piece
    head, rest = rest.split(b"\r\n\r\n", 1)
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    want = int(found.group(1)) if found else 0
    while len(rest) < want:
        rest += sock.recv(65536)
    return (head + b"\r\n\r\n", rest[:want]), rest[want:]


def volatile(head, answer):
    path = head.split(b" ")[1].split(b"?")[0]
    return path in (b"/v2", b"/v2/") or path.endswith(b"/stats") or b"content-encoding" in answer.lower()


def serve(client, target, log):
    with socket.create_connection(target) as server:
        rest = back = b""
        while True:
            request, rest = read_message(client, rest)
            if not request:
                return
            head, body = request
            server.sendall(head + body)
            answer, back = read_message(server, back)
            client.sendall(answer[0] + answer[1])
            head = re.sub(rb"(?i)\r\nhost: [^\r]*", b"\r\nHost: localhost", head)
            log.append((head + body, int(answer[0].split(b" ")[1]), None if volatile(head, answer[0]) else answer[1]))


def session(args, program):
    logs, target = [], tuple(args.url.rsplit(":", 1))
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            logs.append([])
            threading.Thread(target=serve, args=(client, target, logs[-1]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    script, *options = program.split(",")
    subprocess.run([args.python, os.path.join(args.client, "src/python/examples", f"simple_http_{script}.py"), "-u", f"127.0.0.1:{listener.getsockname()[1]}", *options],
                   env={**os.environ, "PYTHONPATH": os.path.join(args.client, "src/python/library")}, stdout=subprocess.DEVNULL, check=True)
    listener.close()
    with open(os.path.join(args.out, script + ("_packed" if options else "") + ".session"), "wb") as f:
        for request, status, body in (exchange for log in logs for exchange in log):
            f.write(b"> %d\n%s\n" % (len(request), request))
            f.write(b"< %d -\n" % status if body is None else b"< %d %d\n%s\n" % (status, len(body), body))


def main():
    p = argparse.ArgumentParser()
    for name in ("url", "client", "python", "out"):
        p.add_argument("--" + name, required=True)
    p.add_argument("programs", nargs="*")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for program in args.programs:
        session(args, program)


sys.exit(main())
