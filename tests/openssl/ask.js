// ask PORT < TRIES: handshakes one after the other, with the groups and the version that each line names. Says of
// each the group, the status, and the version; or what went wrong.
const fs = require('fs'), tls = require('tls');
const port = process.argv[2];
const [ca, cert, key] = ['ca.crt', 'client.crt', 'client.key'].map((name) => fs.readFileSync(name));
const tries = fs.readFileSync(0, 'utf8').trim().split('\n').map((line) => line.split(' '));
const next = () => {
  const one = tries.shift();
  if (!one) return;
  const [servername, ecdhCurve, version] = one;
  let told = false, answer = '';
  const tell = (...words) => {
    if (!told) console.log(...one, ...words);
    told = true;
    socket.destroy();
  };
  let socket;
  try {
    socket = tls.connect({
      host: '127.0.0.1', port, servername, ecdhCurve, ca, cert, key, minVersion: version, maxVersion: version,
    }, () => socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`));
  } catch (error) {
    console.log(...one, 'refused', error.code);
    return next();
  }
  socket.setTimeout(10000, () => tell('silent'));
  socket.on('data', (piece) => { answer += piece; });
  socket.on('end', () => tell(socket.getEphemeralKeyInfo().name, answer.slice(9, 12)));
  socket.on('error', (error) => tell('failed', error.code));
  socket.on('close', () => { tell('closed'); next(); });
};
next();
