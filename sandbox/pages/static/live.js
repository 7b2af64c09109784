// Keeps a page as it is on the server: asks for it every second, changes what has changed, sends forms without leaving the page.
// What a person is doing is left alone: a field that has the focus or was typed in, an open fold, a card that is being dragged.
"use strict";
(() => {
  const EVERY_MS = 1000;
  const page = document.getElementById("page");
  const sign = document.getElementById("live");
  let tag = "";
  let busy = false;
  let dragged = null;

  // --- what the server has now, laid over what is shown ---

  const isTyped = (control) => {
    if (control === document.activeElement) return true;
    if (control.tagName === "SELECT") {
      const chosen = [...control.options].some((one) => one.defaultSelected);
      return [...control.options].some((one, at) => one.selected !== (chosen ? one.defaultSelected : at === 0));
    }
    if (control.type === "checkbox") return control.checked !== control.defaultChecked;
    return control.type !== "hidden" && control.value !== control.defaultValue;
  };

  function lay(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== fresh.data) old.data = fresh.data; return; }
    if (old.isEqualNode(fresh) || old.hasAttribute("data-still")) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(old.nodeName)) { layControl(old, fresh); return; }
    layAttributes(old, fresh);
    layChildren(old, fresh);
  }

  function layControl(old, fresh) {
    if (isTyped(old)) return;
    layAttributes(old, fresh);
    if (old.nodeName !== "INPUT") old.replaceChildren(...fresh.childNodes);
    if (old.nodeName === "SELECT") [...old.options].forEach((one) => { one.selected = one.defaultSelected; });
    else old.value = old.defaultValue;
  }

  function layAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      // a person opens and closes folds; ours are the marks of what has just arrived
      if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.nodeName === "DETAILS" && name === "open") continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function layChildren(old, fresh) {
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const mine = child.id ? [...old.children].find((one) => one.id === child.id) : at && !at.id ? at : null;
      if (!mine) {
        const added = old.insertBefore(child, at);
        if (added.hasAttribute?.("data-arrives")) added.classList.add("arrived");
        continue;
      }
      if (mine === at) at = at.nextSibling;
      else old.insertBefore(mine, at);
      lay(mine, child);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  }

  function show(text, withSaid) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const main = fresh.getElementById("page");
    if (!main) return;
    if (document.title !== fresh.title) document.title = fresh.title;
    lay(page, main);
    if (withSaid) say(fresh.getElementById("said"));
  }

  let hush = 0;
  function say(fresh) {
    const said = document.getElementById("said");
    said.className = fresh.className;
    said.textContent = fresh.textContent;
    clearTimeout(hush);
    if (fresh.classList.contains("good")) hush = setTimeout(quiet, 6000);
  }
  function quiet() {
    const said = document.getElementById("said");
    said.className = "";
    said.textContent = "";
  }

  async function look() {
    if (document.hidden || busy || dragged) return;
    busy = true;
    try {
      const headers = { "X-Live": "1" };
      if (tag) headers["If-None-Match"] = tag;
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.status === 200 && !dragged) {
        tag = answer.headers.get("ETag") || "";
        show(await answer.text(), false);
      }
      lost(false);
    } catch {
      lost(true);
    } finally {
      busy = false;
    }
  }

  function lost(is) {
    sign.hidden = false;
    sign.classList.toggle("lost", is);
    const word = is ? "not connected" : "live";
    if (sign.lastElementChild.textContent !== word) sign.lastElementChild.textContent = word;
  }

  // --- forms that stay on their page ---

  // what was sent is what the form shows from now on
  function settle(form) {
    for (const control of form.elements) {
      if (control.tagName === "SELECT") [...control.options].forEach((one) => { one.defaultSelected = one.selected; });
      else if (control.type === "hidden" || !("defaultValue" in control)) continue;
      else control.defaultValue = control.value;
    }
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-quick]")) return;
    event.preventDefault();
    const fields = new FormData(form, event.submitter);
    const focused = document.activeElement;
    if (form.contains(focused) && focused.matches("input, select, textarea")) focused.blur();
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "text/html" } });
      const text = await answer.text();
      const isDone = /<div id="said"[^>]*class="said good"/.test(text);
      if (isDone && form.hasAttribute("data-clear")) form.reset();
      else if (isDone) settle(form);
      else if (form.hasAttribute("data-auto")) form.reset();
      tag = "";
      // the answer is the page that the form led to: this one, but perhaps with another choice of what to show
      if (new URL(answer.url).pathname === location.pathname && !location.search) show(text, true);
      else { say(new DOMParser().parseFromString(text, "text/html").getElementById("said")); await look(); }
    } catch {
      lost(true);
    } finally {
      form.removeAttribute("aria-busy");
    }
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) form.requestSubmit();
  });

  // --- dragging cards ---

  document.addEventListener("dragstart", (event) => {
    const card = event.target.closest?.(".card");
    if (!card) return;
    dragged = card;
    card.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.id);
  });
  document.addEventListener("dragend", () => {
    dragged?.classList.remove("dragged");
    dragged = null;
    document.querySelectorAll(".over").forEach((one) => one.classList.remove("over"));
  });
  document.addEventListener("dragover", (event) => {
    const column = dragged && event.target.closest?.(".column");
    document.querySelectorAll(".over").forEach((one) => { if (one !== column) one.classList.remove("over"); });
    if (!column) return;
    event.preventDefault();
    column.classList.add("over");
  });
  document.addEventListener("drop", (event) => {
    const column = dragged && event.target.closest?.(".column");
    if (!column) return;
    event.preventDefault();
    const card = dragged;
    const form = card.querySelector("form.move");
    dragged = null;
    card.classList.remove("dragged");
    column.classList.remove("over");
    if (card.closest(".column") === column) return;
    column.classList.remove("empty");
    column.querySelector(".cards").prepend(card);
    form.elements.stage.value = column.dataset.stage;
    form.requestSubmit();
  });

  document.documentElement.classList.add("live");
  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", look);
  look();
})();
