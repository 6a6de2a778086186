// What the pages can do without, but are nicer with: copying, filtering while one types, choosing rows with Shift and
// Ctrl. It asks the server for nothing, and keeps nothing.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// The value of a token is on the answer to a form. Its address becomes the list's, so that reloading shows the list.
for (const card of all("[data-once]")) {
  history.replaceState(null, "", card.dataset.once);
}

for (const button of all("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const told = document.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Without TLS there is no clipboard for scripts, but the old command still works.
      field.select();
      copied = document.execCommand("copy");
    }
    told.hidden = false;
    told.textContent = copied ? "Copied." : "The browser does not let pages copy: select the value and copy it.";
    if (copied) {
      button.textContent = "Copied";
    }
  });
}

// Rows that have all the words, and the status.
for (const input of all("[data-filter]")) {
  const id = input.dataset.filter;
  const table = document.getElementById(id);
  const status = document.querySelector(`[data-filter-status="${id}"]`);
  const count = document.querySelector(`[data-count="${id}"]`);
  const nothing = document.querySelector(`[data-nothing="${id}"]`);
  if (!table || table.dataset.whole === undefined) {
    continue;
  }
  const rows = all("tbody tr", table);
  const noun = table.dataset.whole;
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let seen = 0;
    for (const row of rows) {
      const text = all("[data-text]", row).map((part) => part.textContent.toLowerCase()).join(" ");
      const fits = words.every((word) => text.includes(word))
        && (!status || !status.value || row.dataset.status === status.value);
      row.hidden = !fits;
      seen += fits ? 1 : 0;
    }
    const plural = rows.length === 1 ? noun : `${noun}s`;
    count.textContent = seen === rows.length ? `${seen} ${plural}` : `${seen} of ${rows.length} ${plural}`;
    nothing.hidden = seen > 0;
  };
  input.addEventListener("input", apply);
  status?.addEventListener("change", apply);
  const form = input.form;
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of all("button", form)) {
    button.hidden = true;
  }
  apply();
}

// Rows that are chosen: a click for one, Ctrl for one more, Shift for all in between; Ctrl+A for all.
for (const table of all("[data-choose]")) {
  const ticks = all("input[data-row]", table);
  const form = table.closest("form");
  let anchor = 0;
  const chosen = () => ticks.filter((tick) => tick.checked);
  const update = () => {
    const many = chosen().length;
    for (const button of all("button[data-needs]", form)) {
      button.disabled = button.dataset.needs === "one" ? many !== 1 : many === 0;
    }
  };
  const choose = (index, event) => {
    const range = ticks.slice(Math.min(anchor, index), Math.max(anchor, index) + 1);
    const more = event.ctrlKey || event.metaKey;
    if (event.shiftKey) {
      ticks.forEach((tick) => { tick.checked = range.includes(tick) || (more && tick.checked); });
    } else if (more) {
      ticks[index].checked = !ticks[index].checked;
      anchor = index;
    } else {
      ticks.forEach((tick, other) => { tick.checked = other === index; });
      anchor = index;
    }
    update();
  };
  ticks.forEach((tick, index) => {
    const row = tick.closest("tr");
    row.classList.add("chooses");
    row.addEventListener("click", (event) => {
      if (event.target.closest("a, button")) {
        return;
      }
      if (event.target === tick) {
        // The box itself changes one row, or with Shift those in between.
        if (event.shiftKey) {
          const checked = tick.checked;
          ticks.slice(Math.min(anchor, index), Math.max(anchor, index) + 1).forEach((other) => { other.checked = checked; });
        }
        anchor = index;
        update();
      } else {
        choose(index, event);
      }
    });
    tick.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
        event.preventDefault();
        ticks.forEach((other) => { other.checked = true; });
        update();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const next = ticks[index + (event.key === "ArrowDown" ? 1 : -1)];
        if (next) {
          next.focus();
          if (event.shiftKey) {
            next.checked = true;
            update();
          }
        }
      }
    });
  });
  window.addEventListener("pageshow", update);
  update();
}

// The platform's methods: those that match, or only those that are checked; shown where the set is Custom.
for (const list of all("[data-methods]")) {
  const form = list.closest("form");
  const search = form.querySelector("[data-method-search]");
  const only = form.querySelector("[data-only-checked]");
  const count = form.querySelector("[data-method-count]");
  const custom = form.querySelector("[data-custom]");
  const items = all(".method", list);
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word)) || (only.checked && !item.querySelector("input").checked);
    }
    for (const group of all(".group", list)) {
      let next = group.nextElementSibling;
      let any = false;
      while (next && !next.classList.contains("group")) {
        any ||= !next.hidden;
        next = next.nextElementSibling;
      }
      group.hidden = !any;
    }
    const checked = items.filter((item) => item.querySelector("input").checked).length;
    count.textContent = `${checked} of ${items.length} methods checked`;
  };
  const show = () => {
    custom.hidden = form.querySelector("[name=set]:checked")?.value !== "custom";
  };
  search.addEventListener("input", apply);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
    }
  });
  only.addEventListener("change", apply);
  list.addEventListener("change", apply);
  for (const set of all("[name=set]", form)) {
    set.addEventListener("change", show);
  }
  for (const button of all("[data-without-script]", form)) {
    button.hidden = true;
  }
  apply();
  show();
}

// The user menu closes as menus do.
for (const menu of all("details.menu")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) {
      menu.open = false;
    }
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// After a form one goes on where it came back with its first error, else at what became of it.
if (!document.querySelector("[autofocus]")) {
  document.querySelector("[aria-invalid], [data-result]")?.focus();
}

// The key of a one-time link stands behind the # of the address: into the form with it, and out of the address.
for (const part of all("[data-from-address]")) {
  const field = document.getElementById(part.dataset.fromAddress);
  const key = location.hash.slice(1);
  if (/^[A-Za-z0-9_-]{20,}$/.test(key)) {
    field.value = key;
    history.replaceState(null, "", location.pathname);
  }
  part.hidden = field.value !== "";
}
