/* The same plan for npm's ws and for a browser. `open(url, deflate)` makes a
 * WebSocket, `send(ws, message, pieces)` sends on it. */
"use strict";

const UNIT = "h\u00e9llo \u20ac \u{1f600} ";
const WIDTH = new TextEncoder().encode(UNIT).length;

function payload(index, binary, size) {
  if (binary) {
    const data = new Uint8Array(size);
    for (let i = 0, x = index + 1; i < size; i++) {
      x = (x * 1103515245 + 12345) & 0x7fffffff;
      data[i] = x >> 16;
    }
    return data;
  }
  const text = `${index} `.slice(0, size);
  const rest = size - text.length;
  return text + UNIT.repeat(Math.floor(rest / WIDTH)) +
    "x".repeat(rest % WIDTH);
}

function same(message, got) {
  if (typeof message === "string")
    return message === got;
  if (!(got instanceof ArrayBuffer) || got.byteLength !== message.length)
    return false;
  const data = new Uint8Array(got);
  return message.every((octet, i) => octet === data[i]);
}

function connection(ws, plan, k, send) {
  return new Promise((resolve, reject) => {
    let index = k, good = 0, message = null;
    const next = () => {
      if (index >= plan.length) {
        ws.close(1000);
        return;
      }
      const [binary, size, pieces] = plan[index];
      message = payload(index, binary, size);
      send(ws, message, pieces);
    };
    ws.binaryType = "arraybuffer";
    ws.addEventListener("open", next);
    ws.addEventListener("message", (event) => {
      good += same(message, event.data);
      index += 4;
      next();
    });
    ws.addEventListener("error", () => reject(new Error("failed")));
    ws.addEventListener("close", (event) =>
      event.code === 1000 ? resolve(good)
                          : reject(new Error(`closed: ${event.code}`)));
  });
}

async function play(base, plan, open, send) {
  let good = 0;
  for (let k = 0; k < 4; k++) {
    const url = base + (k % 2 ? "/blocking" : "/events");
    good += await connection(open(url, k >= 2), plan, k, send);
  }
  return good;
}

function cut(message, n) {
  const data = typeof message === "string" ? Buffer.from(message) : message;
  const step = Math.max(1, Math.floor(data.length / n));
  const parts = [];
  for (let i = 0; i < n - 1; i++)
    parts.push(data.subarray(step * i, step * (i + 1)));
  parts.push(data.subarray(step * (n - 1)));
  return parts;
}

/* node play.js PORT PLAN, with ws installed where node looks for it */
if (typeof window === "undefined") {
  const WebSocket = require(`${process.cwd()}/node_modules/ws`);
  const [port, path] = process.argv.slice(2);
  const plan = JSON.parse(require("fs").readFileSync(path));
  play(`ws://127.0.0.1:${port}`, plan,
    (url, deflate) => new WebSocket(url, { perMessageDeflate: deflate }),
    (ws, message, pieces) => {
      const binary = typeof message !== "string";
      const parts = pieces === 1 ? [message] : cut(message, pieces);
      parts.forEach((part, i) =>
        ws.send(part, { binary, fin: i === parts.length - 1 }));
    }).then(console.log, (error) => {
    console.error(error);
    process.exit(1);
  });
}
