// usage: node client.js URL UNTIL [FRAME …]
// Connects, sends the frames after Welcome, prints every frame received, ends with the first of type UNTIL.
const WebSocket = require('ws');

const [url, until, ...frames] = process.argv.slice(2);
const socket = new WebSocket(url, { perMessageDeflate: true });
const deadline = setTimeout(() => { console.error('time is up'); process.exit(1); }, 10000);

socket.on('message', (data) => {
  const frame = JSON.parse(data);
  console.log(JSON.stringify(frame));
  if (frame.type === 'Welcome') frames.forEach((text) => socket.send(text));
  if (frame.type === until) socket.close(1000);
});
socket.on('unexpected-response', (_, response) => { console.error('status', response.statusCode); process.exit(2); });
socket.on('error', (error) => { console.error(error.message); process.exit(3); });
socket.on('close', () => { clearTimeout(deadline); });
