"""A WebSocket server and its clients, with a gateway between them; exits with 0 if all is as it should be.

    peers.py GATEWAY PLAIN SECURE ASGI DIR

GATEWAY is the port of the gateway (TLS, wants a certificate). It leads /plain to port PLAIN and /secure to
port SECURE, where this program listens, the latter with TLS and a wish for a certificate, and /asgi to port
ASGI, where uvicorn listens. DIR holds
ca.crt, and server and client certificates and keys.
"""

import asyncio
import hashlib
import ssl
import sys
import time

import uvicorn
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

LARGE = 64 * 1024 * 1024
SOCKETS = 50

gateway, plain, secure, asgi = (int(word) for word in sys.argv[1:5])
directory = sys.argv[5]
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


async def application(scope, receive, send):
    """Echoes one message on a WebSocket; an ordinary request gets a 200."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ordinary"})
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    message = await receive()
    await send({"type": "websocket.send", "text": message["text"]})


async def in_other_words():
    """What asks with a length of nothing, or for several protocols, is asked of uvicorn, too."""
    settings = {"lifespan": "off", "log_level": "warning", "host": "127.0.0.1", "port": asgi}
    server = uvicorn.Server(uvicorn.Config(application, **settings))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    for fields in [
        "Upgrade: websocket",
        "Content-Length: 0\r\nUpgrade: websocket",
        "Upgrade: h2c, websocket",
    ]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gateway, ssl=context(ssl.Purpose.SERVER_AUTH), server_hostname="a.test"
        )
        ask = (
            "GET /asgi HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n\r\n"
        )
        writer.write(ask.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), (fields, head)
        # A masked text frame, and its echo.
        writer.write(b"\x81\x82\0\0\0\0ok")
        assert await reader.readexactly(4) == b"\x81\x02ok"
        writer.transport.abort()
    server.should_exit = True
    await serving


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
        await in_other_words()
    print("all is well")


asyncio.run(asyncio.wait_for(main(), 240))
