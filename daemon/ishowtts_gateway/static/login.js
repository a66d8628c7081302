// Exchanges the token for a session cookie and opens the page.

import { sentence } from "./format.js";

const form = document.getElementById("login");
const token = document.getElementById("token");
const status = document.getElementById("status");
const button = form.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  status.textContent = "";
  try {
    const response = await fetch("api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.value.trim() }),
    });
    const body = await response.json().catch(() => ({}));
    if (response.ok) {
      location.replace("./");
      return;
    }
    status.textContent = sentence(body.error ?? `The gateway answered with status ${response.status}`);
  } catch {
    status.textContent = "The gateway does not answer. Try again.";
  }
  button.disabled = false;
  token.select();
  token.focus();
});
