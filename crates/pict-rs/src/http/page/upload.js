// Sends the chosen files one after another, each with a bar that tells how much of it has been sent,
// and shows of each answer what the page would have shown. Without this script the form works too.
const form = document.querySelector("form[data-upload]");
const input = form.querySelector("input[type=file]");
const button = form.querySelector("button");
const list = document.createElement("div");
list.setAttribute("aria-live", "polite");
form.after(list);
// One request for each file, so the limit of files in a request does not count.
input.multiple = true;

const send = (file) =>
  new Promise((done) => {
    const item = document.createElement("div");
    const name = document.createElement("p");
    const bar = document.createElement("progress");
    name.textContent = file.name;
    bar.setAttribute("aria-label", file.name);
    bar.max = 1;
    bar.value = 0;
    item.append(name, bar);
    list.append(item);
    const tell = (text) => {
      const alert = document.createElement("p");
      alert.className = "state bad";
      alert.setAttribute("role", "alert");
      alert.textContent = text;
      item.append(alert);
    };
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.onprogress = (event) => {
      // When all is sent it is not stored yet.
      bar.value = event.total ? (0.95 * event.loaded) / event.total : 0;
    };
    request.onload = () => {
      bar.value = 1;
      // Inert, so that the style of the other page is not applied.
      const page = document.createElement("template");
      page.innerHTML = request.responseText;
      const found = page.content.querySelectorAll("section.upload, [role=alert]");
      if (found.length) item.append(...found);
      else tell(`The server answered ${request.status}.`);
    };
    request.onerror = () => tell("The connection broke off.");
    request.onloadend = done;
    const body = new FormData();
    body.append(input.name, file);
    request.send(body);
  });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...input.files];
  button.disabled = true;
  for (const file of files) await send(file);
  button.disabled = false;
  form.reset();
});
