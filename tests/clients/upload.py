"""upload LIBRARY URL FILE TIMES [CA CERT KEY]: a POST of FILE, so many times, each on a connection of its own.

Prints the status of each answer, or what came instead. A small file is sent as bytes, a large one is read as
it is sent.
"""
import asyncio
import os
import sys

library, url, path, times = sys.argv[1:5]
ca, cert, key = sys.argv[5:] or (None, None, None)
SMALL = 64 << 20


def body():
    whole = os.path.getsize(path) <= SMALL
    return open(path, "rb").read() if whole else open(path, "rb")


def by_requests():
    import requests

    pair = (cert, key) if cert else None
    return requests.post(url, data=body(), verify=ca or True, cert=pair, timeout=120).status_code


def by_httpx():
    import httpx
    import ssl

    context = True
    if ca:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(cert, key)
    with httpx.Client(verify=context, timeout=120) as client:
        length = {"content-length": str(os.path.getsize(path))}
        return client.post(url, content=body(), headers=length).status_code


def by_aiohttp():
    import aiohttp
    import ssl

    async def post():
        context = True
        if ca:
            context = ssl.create_default_context(cafile=ca)
            context.load_cert_chain(cert, key)
        limit = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with session.post(url, data=body(), ssl=context) as answer:
                await answer.read()
                return answer.status

    return asyncio.run(post())


for _ in range(int(times)):
    try:
        print({"requests": by_requests, "httpx": by_httpx, "aiohttp": by_aiohttp}[library]())
    except Exception as error:
        print("lost:", repr(error).replace("\n", " ")[:150])
