#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what the example programs of Triton's client say over gRPC, for src/server/models_grpc_test.c to say again.

    sessions_grpc.py --url HOST:PORT --client CHECKOUT --out recorded_grpc [PROGRAM...]

The server is `weir up` as tests/triton/clients starts it (which calls this with RECORD=FOLDER). Runs with the client's Python. A file is a session: for each call, in
the order in which they were made,

    > PATH BYTES
    (the request message)
    < STATUS BYTES
    (the response message, or what the status says; nothing, and BYTES "-", where it differs from time to time: statistics, versions)

Frames of HTTP/2 are not kept: they are libnghttp2's, and those of this client's library are in tests/fixtures/grpc. Shared memory is left out: its regions are the
client's.
"""
import argparse, os, subprocess, sys, threading
from concurrent import futures

import grpc

VOLATILE = ("ServerMetadata", "ModelStatistics")


class Proxy(grpc.GenericRpcHandler):
    def __init__(self, channel, log):
        self.channel, self.log, self.lock = channel, log, threading.Lock()

    def service(self, details):
        path = details.method

        def forward(request, context):
            with self.lock:  # one after the other, so that there is an order
                call = self.channel.unary_unary(path)
                try:
                    reply, status = call(request), 0
                except grpc.RpcError as e:
                    reply, status = e.details().encode(), e.code().value[0]
                self.log.append((path, request, status, None if path.endswith(VOLATILE) and status == 0 else reply))
            if status:
                context.abort(next(c for c in grpc.StatusCode if c.value[0] == status), reply.decode())
            return reply

        return grpc.unary_unary_rpc_method_handler(forward)


def session(args, channel, program):
    log = []
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Proxy(channel, log)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    script = os.path.join(args.client, "src/python/examples", program + ".py")
    subprocess.run([sys.executable, script, "-u", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, check=True)
    server.stop(None).wait()
    with open(os.path.join(args.out, program.replace("simple_grpc_", "") + ".session"), "wb") as f:
        for path, request, status, reply in log:
            f.write(b"> %s %d\n%s\n" % (path.encode(), len(request), request))
            f.write(b"< %d -\n" % status if reply is None else b"< %d %d\n%s\n" % (status, len(reply), reply))


def main():
    p = argparse.ArgumentParser()
    for name in ("url", "client", "out"):
        p.add_argument("--" + name, required=True)
    p.add_argument("programs", nargs="*")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with grpc.insecure_channel(args.url) as channel:
        for program in args.programs:
            session(args, channel, program)


main()
