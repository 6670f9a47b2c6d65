// serve PORT [CA CERT KEY]: the upstream of tests/tests/peers/field, on Node's http or, with certificates, https.
const fs = require('fs')
const zlib = require('zlib')
const [port, ca, cert, key] = process.argv.slice(2)
const secure = ca && {
  ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key), requestCert: true, rejectUnauthorized: true,
}
const big = Buffer.from('0123456789'.repeat(300000))

function whole(request, then) {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => then(Buffer.concat(parts)))
}

// Piece after piece, with time between them.
function slowly(response, pieces, end) {
  if (pieces.length === 0) return end()
  response.write(pieces[0])
  setTimeout(() => slowly(response, pieces.slice(1), end), 30)
}

const paths = {
  '/hello': (request, response) => request.resume().on('end', () => {
    response.writeHead(200, { 'content-length': 6 }).end('hello\n')
  }),
  '/echo': (request, response) => whole(request, (body) => {
    response.writeHead(200, { 'content-length': body.length, 'x-method': request.method }).end(body)
  }),
  '/many': (request, response) => {
    const count = Object.keys(request.headers).filter((name) => name.startsWith('x-many-')).length
    response.writeHead(200, { 'x-count': count }).end()
  },
  '/empty': (_, response) => response.writeHead(204, { 'x-told': 'empty' }).end(),
  '/same': (_, response) => response.writeHead(304, { etag: '"1"' }).end(),
  '/moved': (_, response) => response.writeHead(302, { location: '/hello', 'content-length': 0 }).end(),
  '/cookies': (_, response) => response.writeHead(200, { 'set-cookie': ['a=1', 'b=2; Path=/'] }).end('cookies\n'),
  '/gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(zlib.gzipSync(big)),
  '/fields': (_, response) => {
    for (let at = 0; at < 60; at++) response.setHeader(`x-field-${at}`, 'v'.repeat(100))
    response.end('fields\n')
  },
  '/chunked': (_, response) => slowly(response.writeHead(200), ['one ', 'two ', 'three\n'], () => response.end()),
  '/trailers': (_, response) => {
    response.writeHead(200, { trailer: 'X-Sum' }).write('trailers\n')
    response.addTrailers({ 'X-Sum': '6' })
    response.end()
  },
  '/large': (_, response) => response.writeHead(200, { 'content-length': big.length }).end(big),
  '/close': (_, response) => response.writeHead(200, { connection: 'close', 'content-length': 6 }).end('close\n'),
  '/early': (_, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.writeHead(200, { 'content-length': 6 }).end('early\n')
  },
  '/processing': (_, response) => {
    response.writeProcessing()
    response.writeHead(200, { 'content-length': 11 }).end('processing\n')
  },
  // The answer of a server before HTTP/1.1: its end is the connection's.
  '/old': (_, response) => response.socket.end('HTTP/1.0 200 OK\r\nX-Told: old\r\n\r\nold\n'),
  '/refuse': (_, response) => response.writeHead(413, { 'content-length': 8 }).end('too big\n'),
}

const answer = (request, response) => {
  const found = paths[request.url]
  if (found) found(request, response)
  else response.writeHead(404).end()
}
const { createServer } = require(secure ? 'https' : 'http')
const server = createServer(secure || {}, answer)
server.on('checkContinue', (request, response) => {
  if (request.url !== '/refuse') response.writeContinue()
  answer(request, response)
})
// Shorter than what the gateway keeps a connection for: it has to notice.
server.keepAliveTimeout = 1000
server.listen(Number(port), '127.0.0.1')
