// How a person looks: initials on a colour that is made from the name.

export function hue(name) {
  let sum = 7;
  for (const char of name.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 3600;
  return Math.round(sum / 10);
}

export function initials(name) {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join("");
}

export function paint(element, name) {
  element.textContent = initials(name);
  element.style.setProperty("--hue", hue(name));
  return element;
}

export function avatar(name) {
  return paint(make("span", { class: "avatar", "aria-hidden": "true" }), name);
}

// All text goes through here as text nodes, so none of it is ever read as HTML.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export function icon(...paths) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
