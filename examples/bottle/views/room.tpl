<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{room}}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/chat.css">
<h1>Room <span id="room">{{room}}</span></h1>
<form id="join">
  <input id="name" placeholder="your name" aria-label="your name" required>
  <button id="enter">Join</button> <button id="leave" type="button">Leave</button>
</form>
<p><span id="status">outside</span> <span id="people"></span></p>
<ul id="log"></ul>
<form id="say">
  <input id="text" placeholder="say something" aria-label="say something" autocomplete="off">
  <button id="send">Say</button>
</form>
<script src="/static/chat.js"></script>
