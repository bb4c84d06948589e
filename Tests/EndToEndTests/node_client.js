// usage: node node_client.js URL [HEADERS]
// One WebSocket of node's `ws`, driven by JSON lines: commands on stdin, events on stdout. Ends with its connection.
const readline = require('readline');
const WebSocket = require('ws');

const [url, headers] = process.argv.slice(2);
const socket = new WebSocket(url, { headers: JSON.parse(headers || '{}'), handshakeTimeout: 10000, maxPayload: 1 << 22 });
const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const bytes = (base64) => Buffer.from(base64, 'base64');

const commands = {
  text: (text) => socket.send(text),
  binary: (base64) => socket.send(bytes(base64)),
  // Around `ws`, straight to the TCP socket: for frames that `ws` does not make.
  raw: (base64) => socket._socket.write(bytes(base64)),
  pause: () => socket.pause(),
  resume: () => socket.resume(),
  drop: () => socket.terminate(),
  close: (code) => { socket.resume(); socket.close(code); },
};

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const command = JSON.parse(line);
  for (const name of Object.keys(command)) commands[name](command[name]);
});
// The test has gone.
lines.on('close', () => socket.terminate());

socket.on('open', () => tell({ open: true }));
socket.on('message', (data, isBinary) => tell(isBinary ? { binary: data.toString('base64') } : { text: data.toString() }));
socket.on('unexpected-response', (request, response) => {
  const parts = [];
  response.on('data', (part) => parts.push(part));
  response.on('end', () => {
    const body = Buffer.concat(parts).toString('base64');
    tell({ refused: { status: response.statusCode, reason: response.statusMessage, headers: response.rawHeaders, body } });
    lines.close();
  });
});
socket.on('error', (error) => tell({ error: error.message }));
socket.on('close', (code, reason) => {
  tell({ closed: { code, reason: reason.toString() } });
  lines.close();
});
