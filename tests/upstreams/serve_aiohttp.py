"""serve_aiohttp PORT [CA CERT KEY]: the upstream of tests/tests/peers/field, on aiohttp."""
import asyncio
import gzip
import ssl
import sys

from aiohttp import web

BIG = b"0123456789" * 300_000
PACKED = gzip.compress(BIG)


async def chunked(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    for piece in [b"one ", b"two ", b"three\n"]:
        await answer.write(piece)
        await asyncio.sleep(0.03)
    return answer


def closing(answer):
    answer.force_close()
    return answer


async def answer(request):
    path = request.path
    if path == "/refuse":
        return web.Response(status=413, text="too big\n")
    if path == "/chunked":
        return await chunked(request)
    body = await request.read()
    count = sum(name.lower().startswith("x-many-") for name in request.headers)
    paths = {
        "/hello": lambda: web.Response(text="hello\n"),
        "/echo": lambda: web.Response(body=body, headers={"X-Method": request.method}),
        "/many": lambda: web.Response(headers={"X-Count": str(count)}),
        "/empty": lambda: web.Response(status=204, headers={"X-Told": "empty"}),
        "/same": lambda: web.Response(status=304, headers={"ETag": '"1"'}),
        "/moved": lambda: web.Response(status=302, headers={"Location": "/hello"}),
        "/cookies": lambda: web.Response(text="cookies\n", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")]),
        "/gzip": lambda: web.Response(body=PACKED, headers={"Content-Encoding": "gzip"}),
        "/fields": lambda: web.Response(text="fields\n", headers={f"X-Field-{at}": "v" * 100 for at in range(60)}),
        "/large": lambda: web.Response(body=BIG),
        "/close": lambda: closing(web.Response(text="close\n")),
    }
    return paths.get(path, lambda: web.Response(status=404))()


async def main():
    port, *identity = sys.argv[1:]
    context = None
    if identity:
        ca, cert, key = identity
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
        context.load_cert_chain(cert, key)
        context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, keepalive_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port), ssl_context=context).start()
    await asyncio.Event().wait()


asyncio.run(main())
