"""ask LIBRARY URL FILE [CA CERT KEY]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs
writes them."""
import asyncio
import hashlib
import ssl
import sys

library, base, path = sys.argv[1:4]
ca, cert, key = sys.argv[4:] or (None, None, None)
lines = [line.split(" ") for line in open(path).read().splitlines()]


def context():
    if not ca:
        return True
    made = ssl.create_default_context(cafile=ca)
    made.load_cert_chain(cert, key)
    return made


def parts(upload, how):
    """Body and header fields."""
    framing, _, size = upload.partition(":")
    size = int(size or 0)
    body = (b"0123456789" * (size // 10 + 1))[:size]
    headers = {}
    if how == "expect":
        headers["Expect"] = "100-continue"
    if how == "trailers":
        headers |= {"TE": "trailers", "Connection": "te, keep-alive"}
    if how == "many":
        headers |= {f"X-Many-{at}": "v" * 100 for at in range(60)}
    pieces = [body[at:at + 65536] for at in range(0, size, 65536)]
    return framing, body, pieces, headers


def broken(pieces):
    yield from pieces[:len(pieces) // 2]
    raise RuntimeError("enough")


def told(status, body, values):
    return f"{status} {len(body)} {hashlib.sha256(body).hexdigest()[:8]} {'|'.join(values) or '-'}"


def by_requests():
    import requests

    session = requests.Session()
    identity = {"verify": ca, "cert": (cert, key)} if ca else {}
    for name, method, target, upload, how, field in lines:
        framing, body, pieces, headers = parts(upload, how)
        data = {"length": body, "chunked": iter(pieces), "abort": broken(pieces)}.get(framing)
        try:
            answer = session.request(method, base + target, data=data, headers=headers, timeout=20,
                                     allow_redirects=False, stream=True, **identity)
            if how == "abort":
                next(answer.iter_content(1))
                answer.close()
                yield name, "aborted"
                continue
            yield name, told(answer.status_code, answer.content, answer.raw.headers.getlist(field))
        except Exception as error:
            yield name, "aborted" if framing == "abort" else f"lost {error!r}"


def by_httpx():
    import httpx

    with httpx.Client(verify=context(), timeout=20) as client:
        for name, method, target, upload, how, field in lines:
            framing, body, pieces, headers = parts(upload, how)
            data = {"length": body, "chunked": iter(pieces), "abort": broken(pieces)}.get(framing)
            try:
                with client.stream(method, base + target, content=data, headers=headers) as answer:
                    if how == "abort":
                        next(answer.iter_bytes(1))
                        yield name, "aborted"
                        continue
                    yield name, told(answer.status_code, answer.read(), answer.headers.get_list(field))
            except Exception as error:
                yield name, "aborted" if framing == "abort" else f"lost {error!r}"


async def by_aiohttp():
    import aiohttp

    async def chunks(pieces, whole):
        for piece in pieces if whole else pieces[:len(pieces) // 2]:
            yield piece
        if not whole:
            raise RuntimeError("enough")

    limit = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=limit, connector=aiohttp.TCPConnector(ssl=context())) as session:
        for name, method, target, upload, how, field in lines:
            framing, body, pieces, headers = parts(upload, how)
            expect = headers.pop("Expect", None) is not None
            data = {"length": body, "chunked": chunks(pieces, True), "abort": chunks(pieces, False)}.get(framing)
            try:
                async with session.request(method, base + target, data=data, headers=headers, allow_redirects=False,
                                           expect100=expect) as answer:
                    if how == "abort":
                        await answer.content.readany()
                        answer.close()
                        print(name, "aborted")
                        continue
                    print(name, told(answer.status, await answer.read(), answer.headers.getall(field, [])))
            except Exception as error:
                print(name, "aborted" if framing == "abort" else f"lost {error!r}")


if library == "aiohttp":
    asyncio.run(by_aiohttp())
else:
    for name, text in {"requests": by_requests, "httpx": by_httpx}[library]():
        print(name, text)
