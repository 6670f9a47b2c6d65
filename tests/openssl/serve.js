// serve GROUPS...: a server for each list of groups, which answers everybody with it. Says their ports.
const fs = require('fs'), https = require('https');
const [ca, cert, key] = ['ca.crt', 'server.crt', 'server.key'].map((name) => fs.readFileSync(name));
for (const ecdhCurve of process.argv.slice(2)) {
  const options = { ca, cert, key, ecdhCurve, requestCert: true };
  const server = https.createServer(options, (request, answer) => answer.end(ecdhCurve));
  server.listen(0, '127.0.0.1', () => console.log('listens', ecdhCurve, server.address().port));
}
