"""A WebSocket server and its clients, with a gateway between them; exits with 0 if all is as it should be.

    peers.py GATEWAY PLAIN SECURE DIR

GATEWAY is the port of the gateway (TLS, wants a certificate). It leads /plain to port PLAIN and /secure to
port SECURE, where this program listens, the latter with TLS and a wish for a certificate. DIR holds
ca.crt, and server and client certificates and keys.
"""

import asyncio
import hashlib
import ssl
import sys
import time

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

LARGE = 64 * 1024 * 1024
SOCKETS = 50

gateway, plain, secure = (int(word) for word in sys.argv[1:4])
directory = sys.argv[4]
blob = hashlib.sha256(b"seed").digest() * (LARGE // 32)
digest = hashlib.sha256(blob).hexdigest()
closes = asyncio.Queue()


async def served(socket):
    """Does what messages ask for, and notes how the connection was closed."""
    try:
        await answer(socket)
    except ConnectionClosed:
        pass
    await closes.put((socket.close_code, socket.close_reason))


async def answer(socket):
    """What asks for nothing is sent back."""
    async for message in socket:
        match message:
            case "fragments":
                await socket.send(["one ", "", "two ", "three"])
            case "ping":
                await (await socket.ping(b"from the server"))
                await socket.send("ponged")
            case "large":
                await socket.send(blob)
            case str() if message.startswith("close "):
                await socket.close(int(message.split()[1]), "as asked")
            case bytes() if len(message) == LARGE:
                await socket.send(hashlib.sha256(message).hexdigest())
            case _:
                await socket.send(message)


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


def to(path, version=None, **settings):
    tls = context(ssl.Purpose.SERVER_AUTH, version)
    settings = {"ssl": tls, "host": "127.0.0.1", "port": gateway, "max_size": None, **settings}
    return connect(f"wss://a.test{path}", **settings)


async def small_talk(path, version):
    async with to(path, version) as socket:
        for message in ["", "text", "\N{SNOWMAN}" * 3000, b"", b"\0\xff" * 40000]:
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["a", "bc", "", "d" * 70000])
        assert await socket.recv() == "abc" + "d" * 70000
        await socket.send("fragments")
        parts = [part async for part in socket.recv_streaming()]
        assert "".join(parts) == "one two three" and len(parts) > 1, parts
        await asyncio.wait_for(await socket.ping(b"from the client"), 10)
        await socket.send("ping")
        assert await socket.recv() == "ponged"
        await socket.close(4001, "enough")
    assert await asyncio.wait_for(closes.get(), 10) == (4001, "enough")


async def closed_by_the_server(path):
    async with to(path) as socket:
        await socket.send("close 4002")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4002, "as asked"), closed
        else:
            raise AssertionError("still open")
    assert (await asyncio.wait_for(closes.get(), 10))[0] == 4002


async def large(path):
    """A message that no buffer on the way holds."""
    async with to(path, compression=None) as socket:
        await socket.send(blob)
        assert await socket.recv() == digest
        await socket.send("large")
        assert hashlib.sha256(await socket.recv()).hexdigest() == digest
    await asyncio.wait_for(closes.get(), 10)


async def many(path):
    async def one(number):
        async with to(path) as socket:
            for turn in range(10):
                message = f"{number}.{turn}." * (1 + number * 40)
                await socket.send(message)
                assert await socket.recv() == message
        await asyncio.wait_for(closes.get(), 10)

    await asyncio.gather(*(one(number) for number in range(SOCKETS)))


async def refused():
    try:
        async with to("/ordinary"):
            raise AssertionError("an upgrade where none is allowed")
    except InvalidStatus as error:
        # The server had not been asked for an upgrade any more, and says so.
        assert error.response.status_code == 426, error


async def main():
    settings = {"max_size": None, "compression": "deflate"}
    async with (
        serve(served, "127.0.0.1", plain, **settings),
        serve(served, "127.0.0.1", secure, ssl=context(ssl.Purpose.CLIENT_AUTH), **settings),
    ):
        for path in ["/plain", "/secure"]:
            start = time.monotonic()
            await small_talk(path, ssl.TLSVersion.TLSv1_2)
            await small_talk(path, ssl.TLSVersion.TLSv1_3)
            await closed_by_the_server(path)
            talked = time.monotonic()
            # Once is enough for something so slow, and with TLS on both sides it is hardest.
            if path == "/secure":
                await large(path)
            sent = time.monotonic()
            await many(path)
            end = time.monotonic()
            times = [talked - start, sent - talked, end - sent]
            print(path, *(f"{seconds:.1f} s" for seconds in times), flush=True)
        await refused()
    print("all is well")


asyncio.run(asyncio.wait_for(main(), 240))
