// Says whether it takes a path for one below /admin, in three ways that Node programs decode it.
const http = require('http');

const [port, how] = process.argv.slice(2);
const ways = {
  // The WHATWG parser: backslashes are slashes, dot segments are resolved.
  url: (target) => decodeURIComponent(new URL(target, 'http://h').pathname),
  // Decoded first, and taken apart then.
  early: (target) => decodeURIComponent(target).split('?')[0],
  // Slashes are merged, as middleware does.
  merged: (target) => decodeURIComponent(target.split('?')[0]).replace(/[\\/]+/g, '/'),
};

http.createServer((request, response) => {
  let path;
  try {
    path = ways[how](request.url);
  } catch {
    path = '';
  }
  response.end(path === '/admin' || path.startsWith('/admin/') ? 'ADMIN' : 'public');
}).listen(Number(port), '127.0.0.1');
