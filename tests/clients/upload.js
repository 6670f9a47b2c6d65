// upload URL FILE TIMES [CA CERT KEY]: a POST of FILE, so many times, each on a connection of its own. Prints
// the status of each answer, or what came instead.
const fs = require('fs'), http = require('http'), https = require('https');
const [url, path, times, ca, cert, key] = process.argv.slice(2);
const identity = ca && { ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
const size = fs.statSync(path).size, small = size <= 64 << 20 && fs.readFileSync(path);
const upload = (left) => {
  if (left === 0) return;
  let told = false;
  const tell = (what) => {
    if (told) return;
    told = true;
    console.log(what);
    request.destroy();
    upload(left - 1);
  };
  const request = (ca ? https : http).request(url, {
    method: 'POST', agent: false, headers: { 'content-length': size }, ...identity,
  }, (answer) => {
    answer.on('data', () => {});
    answer.on('end', () => tell(answer.statusCode));
    answer.on('error', (error) => tell('lost: ' + error));
  });
  request.on('error', (error) => tell('lost: ' + error));
  request.setTimeout(120000, () => tell('lost: timed out'));
  if (small) request.end(small); else fs.createReadStream(path).pipe(request);
};
upload(Number(times));
