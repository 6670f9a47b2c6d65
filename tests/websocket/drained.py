"""WebSockets through a gateway that drains: both ends learn that it goes away; exits with 0 if they do.

    drained.py GATEWAY PLAIN SECURE DIR PROCESS

As for peers.py; PROCESS is the id of the gateway's process, which gets a SIGTERM once all are open.
"""

import asyncio
import os
import signal
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

gateway, plain, secure = (int(word) for word in sys.argv[1:4])
directory, process = sys.argv[4], int(sys.argv[5])
closes = asyncio.Queue()


async def served(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except ConnectionClosed:
        pass
    await closes.put((socket.close_code, socket.close_reason))


def context(purpose, version=None):
    made = ssl.create_default_context(purpose, cafile=f"{directory}/ca.crt")
    made.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    name = "server" if purpose is ssl.Purpose.CLIENT_AUTH else "client"
    made.load_cert_chain(f"{directory}/{name}.crt", f"{directory}/{name}.key")
    if purpose is ssl.Purpose.CLIENT_AUTH:
        made.verify_mode = ssl.CERT_REQUIRED
    if version:
        made.minimum_version = made.maximum_version = version
    return made


async def opened(path, version, compression):
    tls = context(ssl.Purpose.SERVER_AUTH, version)
    settings = {"ssl": tls, "host": "127.0.0.1", "port": gateway, "compression": compression}
    socket = await connect(f"wss://a.test{path}", **settings)
    # Long enough for every form of a length, and compressed where both can.
    for message in ["text", "a" * 300, os.urandom(70_000)]:
        await socket.send(message)
        assert await socket.recv() == message
    return socket


async def told(socket):
    try:
        await asyncio.wait_for(socket.recv(), 20)
    except ConnectionClosed as closed:
        assert closed.rcvd and closed.rcvd.code == 1001, closed
    else:
        raise AssertionError("a message from nobody")


async def main():
    async with (
        serve(served, "127.0.0.1", plain),
        serve(served, "127.0.0.1", secure, ssl=context(ssl.Purpose.CLIENT_AUTH)),
    ):
        kinds = [
            (path, version, compression)
            for path in ["/plain", "/secure"]
            for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
            for compression in ["deflate", None]
        ]
        sockets = [await opened(*kind) for kind in kinds]
        os.kill(process, signal.SIGTERM)
        await asyncio.gather(*(told(socket) for socket in sockets))
        for _ in kinds:
            code, reason = await asyncio.wait_for(closes.get(), 20)
            assert (code, reason) == (1001, ""), (code, reason)
    print("all were told")


asyncio.run(asyncio.wait_for(main(), 120))
