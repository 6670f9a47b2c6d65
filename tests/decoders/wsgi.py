"""A WSGI application that says whether it takes a path for one below /admin."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    name = b"ADMIN" if path == "/admin" or path.startswith("/admin/") else b"public"
    start_response("200 OK", [("Content-Length", str(len(name)))])
    return [name]
