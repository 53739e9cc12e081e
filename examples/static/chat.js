// The client's side of the chat rooms, the same for every framework.
"use strict";

const at = (id) => document.getElementById(id);
let socket = null;

function show(line) {
  const item = document.createElement("li");
  item.textContent = line;
  at("log").append(item);
}

function join(event) {
  event.preventDefault();
  const room = encodeURIComponent(at("room").textContent);
  const url = new URL("/chat/" + room, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("name", at("name").value);

  socket = new WebSocket(url);
  socket.onopen = () => { at("status").textContent = "here"; };
  socket.onmessage = (message) => {
    const said = JSON.parse(message.data);
    at("people").textContent = said.people.join(", ");
    show(said.name + " " + said.text);
  };
  socket.onclose = (end) => {
    at("status").textContent = "gone (" + end.code + ")";
    at("people").textContent = "";
  };
}

at("join").addEventListener("submit", join);
at("leave").addEventListener("click", () => socket.close(1000));
at("say").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(at("text").value);
  at("text").value = "";
});
