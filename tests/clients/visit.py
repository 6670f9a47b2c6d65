"""visit PORT VERSION CA CERT KEY PATH: a GET of PATH, twice, the second time with the session of the first."""
import socket
import ssl
import sys

port, version, ca, cert, key, path = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
context.load_cert_chain(cert, key)
wanted = ssl.TLSVersion.TLSv1_3 if version == "1.3" else ssl.TLSVersion.TLSv1_2
context.minimum_version = context.maximum_version = wanted
session = None
for _ in range(2):
    plain = socket.create_connection(("127.0.0.1", int(port)))
    with context.wrap_socket(plain, server_hostname="x.test", session=session) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := line.recv(65536):
            data += piece
        session = line.session
        head, _, body = data.partition(b"\r\n\r\n")
        how = "resumed" if line.session_reused else "full"
        print(line.version(), head.split()[1].decode(), len(body), how)
