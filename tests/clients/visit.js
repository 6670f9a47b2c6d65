// visit PORT VERSION CA CERT KEY PATH: a GET of PATH, twice, the second time with the session of the first.
const fs = require('fs'), https = require('https');
const [port, version, ca, cert, key, path] = process.argv.slice(2);
let session;
const visit = (then) => {
  const request = https.get({
    host: '127.0.0.1', port, path, servername: 'x.test', headers: { host: 'x.test' }, agent: false,
    ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key), session,
    minVersion: 'TLSv' + version, maxVersion: 'TLSv' + version,
  }, (answer) => {
    let bytes = 0;
    const socket = answer.socket, how = socket.isSessionReused() ? 'resumed' : 'full';
    answer.on('data', (piece) => { bytes += piece.length; });
    answer.on('end', () => {
      console.log(socket.getProtocol() || 'TLSv' + version, answer.statusCode, bytes, how);
      then();
    });
  });
  request.on('socket', (socket) => socket.on('session', (given) => { session = given; }));
  request.on('error', (error) => { console.log(String(error)); process.exit(1); });
};
visit(() => visit(() => {}));
