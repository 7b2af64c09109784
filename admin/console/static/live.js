// Shows what has changed on the server: asks for the page every few seconds and lays its parts that are marked data-live over those shown.
// A part in which somebody is at work is left alone. Forms that take a while say so.
"use strict";
(() => {
  const EVERY_MS = 3000;
  const sign = document.getElementById("live");
  let busy = false;

  const isTyped = (control) => control.type !== "hidden" && "defaultValue" in control && control.value !== control.defaultValue;
  const isInUse = (part) => part.contains(document.activeElement) || [...part.querySelectorAll("input, textarea")].some(isTyped);

  function lay(fresh) {
    for (const part of document.querySelectorAll("[data-live]")) {
      const newer = fresh.getElementById(part.id);
      if (newer && !part.isEqualNode(newer) && !isInUse(part)) part.replaceWith(document.adoptNode(newer));
    }
  }

  async function look() {
    if (document.hidden || busy) return;
    busy = true;
    try {
      const answer = await fetch(location.href.split("#")[0], { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.status === 401) location.reload();
      else if (answer.ok) lay(new DOMParser().parseFromString(await answer.text(), "text/html"));
      tell(answer.ok ? "live" : "not well");
    } catch {
      tell("not connected");
    } finally {
      busy = false;
    }
  }

  function tell(word) {
    if (!sign) return;
    sign.hidden = false;
    sign.classList.toggle("bad", word !== "live");
    if (sign.textContent !== word) sign.textContent = word;
  }

  document.addEventListener("submit", (event) => {
    const button = event.target.querySelector("button");
    if (!event.target.dataset.busy || !button) return;
    button.textContent = event.target.dataset.busy;
    event.target.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", look);
  look();
})();
