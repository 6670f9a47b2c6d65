// ask URL FILE [CA CERT KEY]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs writes them.
const fs = require('fs')
const [base, file, ca, cert, key] = process.argv.slice(2)
const secure = base.startsWith('https')
const { request, Agent } = require(secure ? 'https' : 'http')
const identity = secure ? { ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key) } : {}
const agent = new Agent({ keepAlive: true, maxSockets: 1, ...identity })
const sum = (body) => require('crypto').createHash('sha256').update(body).digest('hex').slice(0, 8)

function ask(method, path, upload, how, field) {
  return new Promise((done) => {
    const [framing, size] = upload.split(':')
    const body = Buffer.from('0123456789'.repeat(Math.ceil(size / 10) || 0).slice(0, size || 0))
    const headers = {}
    if (framing === 'length') headers['content-length'] = body.length
    if (framing === 'chunked') headers['transfer-encoding'] = 'chunked'
    if (how === 'expect') headers.expect = '100-continue'
    if (how === 'trailers') Object.assign(headers, { te: 'trailers', connection: 'te, keep-alive' })
    if (how === 'many') for (let at = 0; at < 60; at++) headers[`x-many-${at}`] = 'v'.repeat(100)
    const sent = request(base + path, { method, headers, agent, timeout: 20000 })
    sent.on('timeout', () => sent.destroy(new Error('timeout')))
    const aborts = how === 'abort' || framing === 'abort'
    const failed = (error) => done(aborts ? 'aborted' : `lost ${error.code || error.message}`)
    sent.on('error', failed)
    sent.on('response', (answer) => {
      const parts = []
      answer.on('data', (part) => {
        parts.push(part)
        if (how === 'abort') sent.destroy(new Error('enough'))
      })
      answer.on('error', failed)
      answer.on('end', () => {
        const all = Buffer.concat(parts)
        const value = answer.headers[field] ?? answer.trailers[field] ?? '-'
        done(`${answer.statusCode} ${all.length} ${sum(all)} ${[].concat(value).join('|')}`)
      })
    })
    if (framing === 'abort') {
      sent.setHeader('content-length', body.length)
      sent.write(body.subarray(0, body.length / 2), () => sent.destroy(new Error('enough')))
    } else if (how === 'expect') {
      sent.on('continue', () => sent.end(body))
      sent.flushHeaders()
    } else {
      sent.end(body)
    }
  })
}

async function main() {
  for (const line of fs.readFileSync(file, 'utf8').trim().split('\n')) {
    const [name, ...words] = line.split(' ')
    console.log(name, await ask(...words))
  }
  agent.destroy()
}
main()
