// All that a page can send to another server, each request with a name of its own in ?try=.
// Nothing here is clever: it is what every site may do to everybody who opens it.

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
const FORM_ACTIONS = { "form of text": "text/plain", "form of fields": "application/x-www-form-urlencoded",
  "form of parts": "multipart/form-data" };

const add = (tag, attributes) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

// Loads the element; what of it the page can read.
const load = (tag, attributes, read = () => "") =>
  new Promise((resolve) => {
    const element = add(tag, attributes);
    element.onload = () => resolve(read(element));
    element.onerror = () => resolve("");
    document.body.append(element);
  });

const documentOf = (frame) => frame.contentDocument?.body?.innerText ?? "";

const submit = (url, method, enctype, name, value) => {
  const frame = add("iframe", { name: url });
  const form = add("form", { action: url, method, enctype, target: url });
  form.append(add("input", { name, value, type: "hidden" }));
  document.body.append(frame, form);
  form.submit();
};

// A form of text is name=value: the sign between them has to stand inside a string.
const submitJson = (url, body) =>
  submit(url, "POST", "text/plain", `${body.slice(0, -1)}${body === "{}" ? "" : ","}"x":"`, '"}');

const text = async (answer) => (answer.ok ? answer.text() : "");

const inWorker = (source) =>
  new Promise((resolve) => {
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    worker.onmessage = (message) => resolve(message.data);
    worker.onerror = () => resolve("");
  });

const byXhr = (method, url, body) =>
  new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.onload = () => resolve(request.status === 200 ? request.responseText : "");
    request.onerror = () => resolve("");
    request.send(body);
  });

const open = (kind, url) =>
  new Promise((resolve) => {
    const channel = new kind(url);
    channel.onopen = () => resolve("opened");
    channel.onerror = () => { channel.close(); resolve(""); };
  });

// Ways to send a body for which the browser does not ask the server first, as a form does.
const SENDERS = (redirect) => ({
  "fetch no-cors": (url, body) => fetch(url, { method: "POST", mode: "no-cors", body }),
  "fetch cors": (url, body) => fetch(url, { method: "POST", body }).then(() => ""),
  "fetch without referrer": (url, body) =>
    fetch(url, { method: "POST", mode: "no-cors", body, referrerPolicy: "no-referrer" }),
  "fetch with credentials": (url, body) =>
    fetch(url, { method: "POST", mode: "no-cors", body, credentials: "include" }),
  "fetch keepalive": (url, body) =>
    fetch(url, { method: "POST", mode: "no-cors", body, keepalive: true }),
  "fetch redirected": (url, body) =>
    fetch(redirect(url), { method: "POST", mode: "no-cors", body }),
  "xhr": (url, body) => byXhr("POST", url, body).then(() => ""),
  "beacon": (url, body) => { navigator.sendBeacon(url, body); },
  "form": (url, body) => {
    submitJson(url, body);
  },
  "form redirected": (url, body) => {
    submitJson(redirect(url), body);
  },
  "worker": (url, body) =>
    inWorker(`fetch(${JSON.stringify(url)}, {method: "POST", mode: "no-cors",
      body: ${JSON.stringify(body)}}).catch(() => "").then(() => postMessage(""))`),
});

const sandboxed = (url, body) => {
  const script = `fetch(${JSON.stringify(url)}, {method: "POST", mode: "no-cors",
    body: ${JSON.stringify(body)}})`;
  document.body.append(add("iframe", {
    sandbox: "allow-scripts", srcdoc: `<script>${script}<${""}/script>`,
  }));
};

const LOADERS = (redirect) => ({
  "get by fetch cors": (url) => fetch(url).then(text),
  "get by fetch no-cors": (url) => fetch(url, { mode: "no-cors" }).then(text),
  "get by fetch redirected": (url) => fetch(redirect(url)).then(text),
  "get by fetch without referrer": (url) => fetch(url, { referrerPolicy: "no-referrer" }).then(text),
  "get by xhr": (url) => byXhr("GET", url),
  "img": (src) => load("img", { src }, () => "an image"),
  "img redirected": (src) => load("img", { src: redirect(src) }, () => "an image"),
  "img without referrer": (src) => load("img", { src, referrerpolicy: "no-referrer" }),
  "img with cors": (src) => load("img", { src, crossorigin: "anonymous" }, () => "an image"),
  "script": (src) => load("script", { src }),
  "module": (url) => import(url).then(JSON.stringify),
  "style": (href) => load("link", { rel: "stylesheet", href }),
  "prefetch": (href) => { document.head.append(add("link", { rel: "prefetch", href })); },
  "iframe": (src) => load("iframe", { src }, documentOf),
  "frame redirected": (src) => load("iframe", { src: redirect(src) }, documentOf),
  "object": (data) => load("object", { data }, documentOf),
  "embed": (src) => { document.body.append(add("embed", { src })); },
  "form get": (url) => submit(url, "GET", "text/plain", "try", new URL(url).searchParams.get("try")),
  "window": (url) => { window.open(url); },
  "window without opener": (url) => { window.open(url, "_blank", "noopener,noreferrer"); },
  "link": (href) => {
    const link = add("a", { href, target: "_blank" });
    document.body.append(link);
    link.click();
  },
  "ping": (ping) => {
    const link = add("a", { href: "#", ping });
    document.body.append(link);
    link.click();
  },
  "worker import": (url) =>
    inWorker(`importScripts(${JSON.stringify(url)}); postMessage("imported")`),
  "events": (url) => open(EventSource, url),
  "socket": (url) => open(WebSocket, url.replace("http", "ws")),
});

const late = () => new Promise((resolve) => setTimeout(resolve, 100000, "neither an answer nor an error"));

const sendAll = async ({ target, read, posts, redirector }) => {
  const tries = {};
  const urlOf = (name, path) => `${target}${path}?try=${encodeURIComponent(name)}`;
  const redirect = (url) => `${redirector}/redirect?to=${encodeURIComponent(url)}`;
  for (const [name, run] of Object.entries(LOADERS(redirect))) {
    tries[name] = () => run(urlOf(name, read));
  }
  for (const method of METHODS) {
    const name = `fetch ${method}`;
    // With a header that makes the browser ask the server first.
    tries[name] = () => fetch(urlOf(name, read), { method, headers: { "X-Asks": "1" } }).then(text);
  }
  const senders = { ...SENDERS(redirect), "sandboxed frame": sandboxed };
  for (const [sender, run] of Object.entries(senders)) {
    for (const [path, body] of Object.entries(posts)) {
      const name = `${sender} to ${path}`;
      tries[name] = () => run(urlOf(name, path), body.replace("NAME", sender));
    }
  }
  for (const [name, enctype] of Object.entries(FORM_ACTIONS)) {
    tries[name] = () => submit(urlOf(name, read), "POST", enctype, "value", "{}");
  }
  // What each could read, in the end; "" for nothing.
  const outcomes = Object.entries(tries).map(async ([name, run]) => {
    try {
      const found = await Promise.race([run(), late()]);
      return [name, typeof found === "string" ? found : ""];
    } catch {
      return [name, ""];
    }
  });
  return Object.fromEntries(await Promise.all(outcomes));
};
