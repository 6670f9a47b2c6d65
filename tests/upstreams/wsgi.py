"""The upstream of tests/tests/peers/field as far as WSGI has words for it."""
import gzip
import time

BIG = b"0123456789" * 300_000
PACKED = gzip.compress(BIG)


def slowly(pieces):
    for piece in pieces:
        yield piece
        time.sleep(0.03)


def app(environ, start):
    def answer(status, fields=(), body=b""):
        start(status, [*fields, ("Content-Length", str(len(body)))])
        return [body]

    def bare(status, *fields):
        start(status, list(fields))
        return []

    def echo():
        body = environ["wsgi.input"].read()
        return answer("200 OK", [("X-Method", environ["REQUEST_METHOD"])], body)

    def chunked():
        start("200 OK", [])
        return slowly([b"one ", b"two ", b"three\n"])

    count = sum(name.startswith("HTTP_X_MANY_") for name in environ)
    paths = {
        "/hello": lambda: answer("200 OK", body=b"hello\n"),
        "/echo": echo,
        "/many": lambda: answer("200 OK", [("X-Count", str(count))]),
        "/empty": lambda: bare("204 No Content", ("X-Told", "empty")),
        "/same": lambda: bare("304 Not Modified", ("ETag", '"1"')),
        "/moved": lambda: answer("302 Found", [("Location", "/hello")]),
        "/cookies": lambda: answer("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")], b"cookies\n"),
        "/gzip": lambda: answer("200 OK", [("Content-Encoding", "gzip")], PACKED),
        "/fields": lambda: answer("200 OK", [(f"X-Field-{at}", "v" * 100) for at in range(60)], b"fields\n"),
        "/chunked": chunked,
        "/large": lambda: answer("200 OK", body=BIG),
        "/close": lambda: answer("200 OK", body=b"close\n"),
        "/refuse": lambda: answer("413 Content Too Large", body=b"too big\n"),
    }
    return paths.get(environ["PATH_INFO"], lambda: answer("404 Not Found"))()
