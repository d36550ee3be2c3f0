"use strict";
// A page marked as live shows what is new every two seconds, where nobody is at work on it.
const PAUSE_MILLISECONDS = 2000;

function isBusy(main) {
  const active = document.activeElement;
  const types = active && main.contains(active) && active.matches("input, select, textarea");
  return types || document.hidden || String(window.getSelection() || "") !== "";
}

async function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main || isBusy(main)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (!fresh || isBusy(main)) return;
  for (const open of main.querySelectorAll("details[open]")) {
    const same = fresh.querySelector("#" + CSS.escape(open.id));
    if (same) same.open = true;
  }
  if (fresh.innerHTML !== main.innerHTML) {
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    main.replaceChildren(...fresh.childNodes);
    const again = focused && main.querySelector(`a[href="${CSS.escape(focused)}"]`);
    if (again) again.focus();
  }
  if (!fresh.hasAttribute("data-live")) main.removeAttribute("data-live");
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
setInterval(() => refresh().catch(() => {}), PAUSE_MILLISECONDS);
