// What has the cursor, and whether a person does not see it: outside of the window, or without a mark around it.
const e = document.activeElement;
const box = e.getBoundingClientRect();
const style = getComputedStyle(e);
const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
// Between the last part of a page and the first, the browser itself has it.
const nowhere = e === document.body || e === document.documentElement;
return {
  names: [e.innerText, e.labels?.[0]?.innerText, e.name, e.id].map((text) => (text || "").trim()),
  hidden: !nowhere && !(e.checkVisibility() && inside && marked),
  is: nowhere ? "" : e.outerHTML.slice(0, 200) + " " + JSON.stringify([box, style.outline]),
};
