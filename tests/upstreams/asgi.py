"""The upstream of tests/tests/peers/field as far as ASGI has words for it."""
import asyncio
import gzip

BIG = b"0123456789" * 300_000
PACKED = gzip.compress(BIG)


async def whole(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] != "http":
        return

    async def answer(status, fields=(), body=b"", length=True):
        fields = [(name.encode(), value.encode()) for name, value in fields]
        fields += [(b"content-length", str(len(body)).encode())] if length else []
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def hello():
        await whole(receive)
        await answer(200, body=b"hello\n")

    async def echo():
        body = await whole(receive)
        if body is not None:
            await answer(200, [("x-method", scope["method"])], body)

    async def chunked():
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in [b"one ", b"two ", b"three\n"]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.03)
        await send({"type": "http.response.body", "body": b""})

    count = sum(name.startswith(b"x-many-") for name, _ in scope["headers"])
    paths = {
        "/hello": hello,
        "/echo": echo,
        "/many": lambda: answer(200, [("x-count", str(count))]),
        "/empty": lambda: answer(204, [("x-told", "empty")], length=False),
        "/same": lambda: answer(304, [("etag", '"1"')], length=False),
        "/moved": lambda: answer(302, [("location", "/hello")]),
        "/cookies": lambda: answer(200, [("set-cookie", "a=1"), ("set-cookie", "b=2; Path=/")], b"cookies\n"),
        "/gzip": lambda: answer(200, [("content-encoding", "gzip")], PACKED),
        "/fields": lambda: answer(200, [(f"x-field-{at}", "v" * 100) for at in range(60)], b"fields\n"),
        "/chunked": chunked,
        "/large": lambda: answer(200, body=BIG),
        "/close": lambda: answer(200, [("connection", "close")], b"close\n"),
        "/refuse": lambda: answer(413, body=b"too big\n"),
    }
    await paths.get(scope["path"], lambda: answer(404))()
