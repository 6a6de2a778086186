// Text whose contrast with what is behind it is less than 4.5 (WCAG 2.2, 1.4.3), or 3 where it is large.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const paint = (colors) => {
  canvas.clearRect(0, 0, 1, 1);
  for (const color of colors) {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
  }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const backs = (element) => {
  const found = [];
  for (let e = element; e; e = e.parentElement) {
    found.unshift(getComputedStyle(e).backgroundColor);
  }
  return ["white", ...found];
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (!text || !element.checkVisibility() || element.closest("button:disabled")) {
    continue;
  }
  const style = getComputedStyle(element);
  const behind = backs(element);
  const [light, dark] = [luminance(paint([...behind, style.color])), luminance(paint(behind))].sort((a, b) => b - a);
  const ratio = (light + 0.05) / (dark + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (large ? 3 : 4.5)) {
    faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
}
return faint;
